"""Lifecycle rules are acted on: ministack keeps a bucket's configuration and never looks at it again.

It also drops a rule's ``Prefix`` where it stands outside of a ``Filter``, as older clients write it: the rule would be everybody's.
Transitions to other storage classes are kept, and not acted on: nothing here is cheaper than anything else.
"""

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

from awssim import lifecycle
from awssim.lifecycle import Rule, Version

log = logging.getLogger("awssim.expiry")


def with_prefixes(s3: Any, original: Any) -> Any:
    """``_put_bucket_lifecycle``, with the prefixes it drops."""

    def put(name: str, body: bytes) -> Any:
        answer = original(name, body)
        if answer[0] == 200:
            _keep_prefixes(s3, name, body)
        return answer

    return put


def _keep_prefixes(s3: Any, bucket: str, body: bytes) -> None:
    elements = [element for element in s3.fromstring(body) if _tag(element) == "Rule"]
    for element, rule in zip(elements, s3._bucket_lifecycle[bucket], strict=True):
        for child in element:
            if _tag(child) == "Prefix":
                rule["Filter"] = {"Prefix": child.text or ""}


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def expire(s3: Any, now: dt.datetime) -> Iterator[str]:
    """Carry out every bucket's rules as of ``now``. Yields each key looked at, so that a caller may do other things between."""
    from ministack.core import responses

    for (account, bucket), rules in list(s3._bucket_lifecycle._data.items()):
        if not isinstance(rules, list) or (account, bucket) not in s3._buckets._data:
            continue
        responses.set_request_account_id(account)
        for key in _keys(s3, bucket):
            responses.set_request_account_id(account)  # another request may have run meanwhile
            _expire_key(s3, rules, bucket, key, now)
            yield key
        _abort_uploads(s3, rules, bucket, now)


def _keys(s3: Any, bucket: str) -> list[str]:
    hidden = [key for name, key in s3._object_versions if name == bucket]
    return sorted({*s3._buckets[bucket]["objects"], *hidden})


def _expire_key(s3: Any, rules: list[Rule], bucket: str, key: str, now: dt.datetime) -> None:
    versions = _versions(s3, bucket, key)
    for version in lifecycle.noncurrent(rules, key, versions, now):
        _delete(s3, bucket, key, version.version_id)
    left = _versions(s3, bucket, key)
    if left and lifecycle.is_left_over(rules, key, left, now):
        _delete(s3, bucket, key, left[-1].version_id)
    elif left and not left[-1].marker and lifecycle.has_expired(rules, key, left[-1], now):
        _delete(s3, bucket, key, None)


def _delete(s3: Any, bucket: str, key: str, version_id: str | None) -> None:
    status, _, text = s3._delete_object(bucket, key, {}, {"versionId": [version_id]} if version_id else {})
    outcome = "has expired" if status == 204 else f"has expired but stays: {text.decode(errors='replace')}"
    log.info("s3://%s/%s%s %s", bucket, key, f" (version {version_id})" if version_id else "", outcome)


def _versions(s3: Any, bucket: str, key: str) -> list[Version]:
    """The versions of a key from the oldest to the current one; a key of an unversioned bucket has one."""
    current = s3._buckets[bucket]["objects"].get(key)
    records = s3._object_versions.get((bucket, key)) or ([current] if current else [])
    return [
        Version(
            version_id=record.get("version_id"), since=lifecycle.moment(record["last_modified"]), size=record["size"],
            marker=bool(record.get("is_delete_marker")), tags=_tags(s3, bucket, key, record.get("version_id")),
        )
        for record in records
    ]  # fmt: skip


def _tags(s3: Any, bucket: str, key: str, version_id: str | None) -> dict[str, str]:
    return s3._object_tags.get((bucket, key, None if version_id == "null" else version_id)) or {}


def _abort_uploads(s3: Any, rules: list[Rule], bucket: str, now: dt.datetime) -> None:
    for upload_id, upload in list(s3._multipart_uploads.items()):
        with contextlib.suppress(KeyError):
            begun = lifecycle.moment(upload["created"])
            if upload["bucket"] == bucket and lifecycle.abandoned(rules, upload["key"], begun, now):
                s3._abort_multipart_upload(bucket, upload["key"], {"uploadId": [upload_id]})
                log.info("s3://%s/%s: an upload begun at %s was given up", bucket, upload["key"], upload["created"])
