"""S3 lifecycle rules: which versions have expired, and that it is done."""

import datetime as dt
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from awssim import lifecycle
from awssim.lifecycle import Version
from tests.awssim.running import REGION, running

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def version(days: float, name: str = "", **more: Any) -> Version:
    return Version(version_id=name or None, since=NOW - days * DAY, **more)


def rule(**more: Any) -> dict[str, Any]:
    return {"Status": "Enabled", "Filter": {}, **more}


def test_an_age_is_reached_at_the_next_midnight() -> None:
    assert lifecycle.due(NOW, 1) == dt.datetime(2026, 3, 12, tzinfo=dt.UTC)
    assert lifecycle.due(dt.datetime(2026, 3, 10, tzinfo=dt.UTC), 1) == dt.datetime(2026, 3, 11, tzinfo=dt.UTC)


AFTER_5 = {"Expiration": {"Days": 5}}


@pytest.mark.parametrize(
    ("rules", "found", "expired"),
    [
        ([rule(**AFTER_5)], version(7), True),
        ([rule(**AFTER_5)], version(5.1), False),
        ([rule(**AFTER_5, Status="Disabled")], version(7), False),
        ([rule(**AFTER_5, Filter={"Prefix": "logs/"})], version(7), True),
        ([rule(**AFTER_5, Filter={"Prefix": "models/"})], version(7), False),
        ([rule(**AFTER_5, Filter={"Tag": {"Key": "a", "Value": "1"}})], version(7, tags={"a": "1"}), True),
        ([rule(**AFTER_5, Filter={"Tag": {"Key": "a", "Value": "1"}})], version(7, tags={"a": "2"}), False),
        (
            [rule(**AFTER_5, Filter={"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "1"}]}})],
            version(7),
            False,
        ),
        ([rule(**AFTER_5, Filter={"ObjectSizeGreaterThan": 10})], version(7, size=10), False),
        ([rule(**AFTER_5, Filter={"ObjectSizeLessThan": 10})], version(7, size=9), True),
        ([rule(Expiration={"Date": "2026-03-10T00:00:00.000Z"})], version(0.1), True),
        ([rule(Expiration={"Date": "2026-03-11T00:00:00Z"})], version(100), False),
        ([rule(Expiration={"Days": 50}), rule(**AFTER_5)], version(7), True),
        ([rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])], version(7), False),
    ],
)
def test_current_objects(rules: list[dict[str, Any]], found: Version, expired: bool) -> None:
    assert lifecycle.has_expired(rules, "logs/1", found, NOW) is expired


def names(rules: list[dict[str, Any]], versions: list[Version]) -> list[str | None]:
    return [gone.version_id for gone in lifecycle.noncurrent(rules, "k", versions, NOW)]


def test_noncurrent_versions_by_the_time_they_were_replaced() -> None:
    versions = [version(30, "a"), version(20, "b"), version(2, "c")]
    assert names([rule(NoncurrentVersionExpiration={"NoncurrentDays": 10})], versions) == ["a"]
    assert names([rule(NoncurrentVersionExpiration={"NoncurrentDays": 1})], versions) == ["a", "b"]
    kept = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}
    assert names([rule(NoncurrentVersionExpiration=kept)], versions) == ["a"]
    assert names([rule(NoncurrentVersionExpiration=kept)], [version(30, "a"), version(20, "m", marker=True)]) == []


def test_a_marker_with_nothing_below_it() -> None:
    rules = [rule(Expiration={"ExpiredObjectDeleteMarker": True})]
    assert lifecycle.is_left_over(rules, "k", [version(1, "m", marker=True)], NOW)
    assert not lifecycle.is_left_over(rules, "k", [version(2, "a"), version(1, "m", marker=True)], NOW)
    assert not lifecycle.is_left_over([rule(**AFTER_5)], "k", [version(1, "m", marker=True)], NOW)
    assert lifecycle.is_left_over([rule(**AFTER_5)], "k", [version(9, "m", marker=True)], NOW)


def test_uploads_that_were_never_completed() -> None:
    rules = [rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3})]
    assert lifecycle.abandoned(rules, "k", NOW - 5 * DAY, NOW)
    assert not lifecycle.abandoned(rules, "k", NOW - 2 * DAY, NOW)


def age(state: Path, bucket: str, key: str, days: int) -> None:
    """Let the objects of a stopped stand-in be older."""
    (sidecar,) = (state / "s3" / "data").glob(f"*/{bucket}/{key}.meta.json")
    text, record = sidecar.read_text(), json.loads(sidecar.read_text())
    for time_text in {record["last_modified"], *(item["last_modified"] for item in record.get("versions", []))}:
        older = dt.datetime.fromisoformat(time_text.replace("Z", "+00:00")) - days * DAY
        text = text.replace(time_text, older.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")
    sidecar.write_text(text)


def eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_rules_are_carried_out(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        for bucket in ("plain", "versioned"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        old_style = {"ID": "old", "Prefix": "logs-", "Status": "Enabled", "Expiration": {"Days": 3}}
        s3.put_bucket_lifecycle_configuration(Bucket="plain", LifecycleConfiguration={"Rules": [old_style]})
        both = {"Expiration": {"Days": 3}, "NoncurrentVersionExpiration": {"NoncurrentDays": 2}}
        s3.put_bucket_lifecycle_configuration(
            Bucket="versioned",
            LifecycleConfiguration={"Rules": [{"ID": "b", "Filter": {"Prefix": ""}, "Status": "Enabled", **both}]},
        )
        for bucket, key in (("plain", "logs-1"), ("plain", "model"), ("versioned", "k"), ("versioned", "k")):
            s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        stand.stop()
    for bucket, key in (("plain", "logs-1"), ("plain", "model"), ("versioned", "k")):
        age(tmp_path / "state", bucket, key, 10)
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")

        def keys(bucket: str) -> list[str]:
            return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

        eventually(lambda: keys("plain") == ["model"] and keys("versioned") == [])
        left = s3.list_object_versions(Bucket="versioned")
        assert (len(left["Versions"]), len(left["DeleteMarkers"])) == (1, 1)
