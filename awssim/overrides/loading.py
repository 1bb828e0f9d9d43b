"""Objects found on disk at the start, given to ministack's memory.

ministack reads every sidecar while it is imported, takes one it cannot read for none (versions and metadata are gone, and the next write
covers the file), and forgets the sizes of an object's parts. Here they come from an index, and what is damaged is set aside and reported.
"""

from pathlib import Path
from typing import Any

from awssim.blobs import Blob
from awssim.overrides import locks
from awssim.overrides.replace import replace
from awssim.sidecars import Found, Sidecars

_ENCODED = ".ministack-keys/"
_KEPT = ("parts", "checksum_type")


def apply(sidecars: Sidecars) -> None:
    from ministack.services import s3

    s3.S3_PERSIST = True  # off while it was imported, so that it did not load by itself
    replace(s3, "_object_meta_from_record", _make_meta)
    encoded = []
    for found, meta in sidecars.all():
        if _is_encoded(found.path):
            encoded.append((found, meta))
        else:
            load(s3, found, meta)
    for found, meta in encoded:
        load(s3, found, meta)


def _make_meta(original: Any) -> Any:
    def meta(record: dict[str, Any]) -> dict[str, Any]:
        return {**original(record), **{name: record[name] for name in _KEPT if record.get(name)}}

    return meta


def _is_encoded(path: str) -> bool:
    return path.split("/", 2)[2].startswith(_ENCODED)


def load(s3: Any, found: Found, meta: dict[str, Any]) -> None:
    """One object, or delete marker, with its history."""
    account, name, path = found.path.split("/", 2)
    bucket = s3._buckets._data.get((account, name))
    if bucket is None:
        bucket = s3._buckets._data[(account, name)] = {"created": s3.now_iso(), "objects": {}, "region": None}
    key = meta.get("key") or (s3.url_unquote(path.removeprefix(_ENCODED)) if _is_encoded(found.path) else path)
    locks.restore(s3, account, (name, key), meta)
    if meta.get("is_delete_marker"):
        s3._load_persisted_delete_marker(account, bucket, name, key, meta)
    elif found.has_data:
        record = _record(s3, found, meta)
        bucket["objects"][key] = record
        if {"versions", "tags", "acl", "annotations"} & meta.keys():
            s3._load_persisted_history(account, bucket, name, key, meta)
        elif record.get("version_id"):
            entry = {**s3._version_entry_from_record(record, record["version_id"], None), "is_latest": True}
            s3._object_versions._data.setdefault((account, (name, key)), []).append(entry)


def _record(s3: Any, found: Found, meta: dict[str, Any]) -> dict[str, Any]:
    if meta.get("size") is None or not meta.get("etag"):
        meta = {**meta, **_of_data(s3, found)}
    record = {
        "body": None, "content_type": meta.get("content_type", "application/octet-stream"),
        "content_encoding": meta.get("content_encoding"), "etag": meta["etag"],
        "last_modified": meta.get("last_modified") or s3.now_iso(), "size": meta["size"], "metadata": meta.get("metadata", {}),
        "preserved_headers": meta.get("preserved_headers", {}), "storage_class": meta.get("storage_class", "STANDARD"),
        "checksums": meta.get("checksums", {}),
    }  # fmt: skip
    return record | {name: meta[name] for name in ("version_id", *_KEPT) if meta.get(name)}


def _of_data(s3: Any, found: Found) -> dict[str, Any]:
    """What the data itself tells of an object without a readable sidecar."""
    account, name, path = found.path.split("/", 2)
    file = Path(s3.DATA_DIR, account, name, path)
    body = Blob(file, file.stat().st_size)
    return {"size": body.size, "etag": f'"{s3.md5_hash(body)}"'}
