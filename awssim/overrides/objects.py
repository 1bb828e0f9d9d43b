"""S3 objects live in files: large bodies are never in memory, a write is on disk before it is answered, and a failing disk is an error.

ministack keeps every version of every object in memory, reads whole files for a range, logs a warning where it cannot write, and stores
data and sidecar one after the other. Its layout on disk is kept; only the functions that touch content are replaced.
"""

import functools
import json
import logging
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from awssim import crc
from awssim.blobs import Blob, new_name
from awssim.files import private_directory, write_atomically
from awssim.journal import Journal, stage
from awssim.overrides.replace import replace

log = logging.getLogger("awssim.objects")
received: ContextVar[Blob | None] = ContextVar("awssim_received", default=None)
joined: ContextVar[Blob | None] = ContextVar("awssim_joined", default=None)
_failures: ContextVar[list[OSError] | None] = ContextVar("awssim_failures", default=None)


def apply(journal: Journal) -> None:
    from ministack.services import s3

    _hashes(s3)
    _files(s3, journal)
    _writes(s3)
    replace(s3, "_persist_object", lambda _: functools.partial(_persist, s3, journal))


def _hashes(s3: Any) -> None:
    def make_md5(original: Any) -> Any:
        def md5_hash(data: Any) -> str:
            return (data.digest("MD5") or b"").hex() if isinstance(data, Blob) else str(original(data))

        return md5_hash

    def make_checksum(original: Any) -> Any:
        def checksum(algorithm: str, body: Any) -> Any:
            return body.checksum(algorithm) if isinstance(body, Blob) else original(algorithm, body)

        return checksum

    def make_crc(maker: Callable[[], crc.Running]) -> Callable[[bytes], int]:
        def value(body: bytes) -> int:
            running = maker()
            running.update(body)
            return int.from_bytes(running.digest(), "big")

        return value

    def make_content_md5(original: Any) -> Any:
        def validate(headers: Any, body: Any) -> Any:
            if not isinstance(body, Blob):
                return original(headers, body)
            failure = original(headers, b"")
            if failure is None or b"BadDigest" not in failure[2]:
                return failure
            import base64

            expected = base64.b64decode(headers["content-md5"])
            return None if expected == body.digest("MD5") else failure

        return validate

    replace(s3, "md5_hash", make_md5)
    replace(s3, "_compute_s3_checksum", make_checksum)
    replace(s3, "_crc32c", lambda _: make_crc(crc.crc32c))  # byte by byte in Python, 40 ms for a body of 256 KB
    replace(s3, "_crc64nvme", lambda _: make_crc(crc.crc64nvme))
    replace(s3, "_validate_content_md5", make_content_md5)


def _files(s3: Any, journal: Journal) -> None:
    def atomic_write(path: str, data: Any, *, text: bool = False) -> None:
        try:
            if isinstance(data, Blob):
                staged = new_name(journal.staging)
                stage(staged, data)
                staged.rename(path)
            else:
                write_atomically(Path(path), data.encode() if isinstance(data, str) else data)
        except OSError as error:
            if (failures := _failures.get()) is not None:
                failures.append(error)  # some callers only log it; `guarded` does not forget
            raise

    def file_of(path: str | None) -> Blob | bytes | None:
        if path is None or not Path(path).is_file():
            return None
        return Blob(Path(path), Path(path).stat().st_size)

    def read_body(bucket: str, key: str, record: Any) -> Any:
        body = record.get("body")
        return body if body is not None else (file_of(s3._object_disk_path(bucket, key)) or b"")

    def version_body(bucket: Any, name: str, key: str, version: Any) -> Any:
        if version.get("data") is not None:
            return version["data"]
        found = file_of(s3._version_disk_path(name, key, version["version_id"]))
        if found is not None:
            return found if len(found) else b""
        current = bucket["objects"].get(key)
        if current is not None and (current.get("version_id") or "null") == version["version_id"]:
            return read_body(name, key, current)
        return None

    replace(s3, "_atomic_write", lambda _: atomic_write)
    replace(s3, "_read_body", lambda _: read_body)
    replace(s3, "_version_body", lambda _: version_body)


def _persist(s3: Any, journal: Journal, bucket: str, key: str, record: Any) -> None:
    """Put an object's content and sidecar on disk; the record then holds no content."""
    path = Path(s3._object_disk_path(bucket, key))
    sidecar = {**s3._object_meta_from_record(record), **s3._key_history_meta(bucket, key), "key": key}
    content = record.get("body")
    if content is None:
        private_directory(path.parent)
        write_atomically(path.with_name(f"{path.name}.meta.json"), json.dumps(sidecar).encode())
    else:
        journal.replace(path, content, sidecar)
    record["body"] = None
    root = s3.os.path.join(s3.DATA_DIR, s3.get_account_id(), bucket)
    s3._remove_key_files(s3._other_key_disk_path(root, key, str(path)))


def _writes(s3: Any) -> None:
    def make_put(original: Any) -> Any:
        def put_object(bucket: str, key: str, body: Any, headers: Any) -> Any:
            content = received.get()
            return original(bucket, key, body if content is None else content, headers)

        return guarded(s3, put_object)

    def make_record(original: Any) -> Any:
        def record_version(bucket: str, key: str, prior: Any, record: Any, data: Any) -> Any:
            whole = joined.get()
            if whole is not None:
                record["body"], record["size"], data = whole, whole.size, whole
            result = original(bucket, key, prior, record, data)
            for version in s3._object_versions.get((bucket, key)) or []:
                version["data"] = None  # it is in a file of its own, or the current object's
            return result

        return record_version

    replace(s3, "_put_object", make_put)
    replace(s3, "_copy_object", lambda original: guarded(s3, original))
    replace(s3, "_delete_object", lambda original: guarded(s3, original))
    replace(s3, "_record_object_version", make_record)


def guarded(s3: Any, operation: Any) -> Any:
    """``operation(bucket, key, ...)``, undone in memory where the disk refuses it."""

    @functools.wraps(operation)
    def run(bucket: str, key: str, *arguments: Any, **keywords: Any) -> Any:
        objects = (s3._buckets.get(bucket) or {}).get("objects", {})
        before, versions = objects.get(key), list(s3._object_versions.get((bucket, key)) or [])
        failures: list[OSError] = []
        token = _failures.set(failures)
        try:
            answer = operation(bucket, key, *arguments, **keywords)
            if failures:
                raise failures[0]
            return answer
        except OSError as error:
            log.error("could not store %s/%s: %s", bucket, key, error)
            objects.pop(key, None)
            if before is not None:
                objects[key] = before
            if versions or s3._object_versions.get((bucket, key)):
                s3._object_versions[(bucket, key)] = versions
            return s3._error("ServiceUnavailable", f"The object could not be stored: {error.strerror or error}", 503)
        finally:
            _failures.reset(token)

    return run
