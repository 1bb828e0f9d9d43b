"""Multipart uploads on disk: each acknowledged part survives kill -9, and completing one joins files instead of byte strings.

ministack keeps parts in memory only. A part's file and a small record lie under ``uploads/<upload>/``; in ministack's dictionary stands a
``Part``, an empty byte string that knows its length and its MD5, because ministack joins the parts' bodies.
"""

import functools
import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from awssim.blobs import Blob, append, new_name
from awssim.files import private_directory, write_atomically
from awssim.journal import Journal, stage
from awssim.overrides.objects import guarded, received
from awssim.overrides.replace import replace

log = logging.getLogger("awssim.multipart")


class Part(bytes):
    """Stands for an uploaded part in ministack's dictionary."""

    size: int
    md5: bytes

    @classmethod
    def of(cls, size: int, md5: bytes) -> "Part":
        part = cls()
        part.size, part.md5 = size, md5
        return part

    def __len__(self) -> int:
        return self.size

    def digest(self) -> bytes:
        return self.md5


class _Hashlib:
    """hashlib as ministack's S3 sees it: the MD5 of a Part is known."""

    def __getattr__(self, name: str) -> Any:
        return getattr(hashlib, name)

    def md5(self, data: Any = b"") -> Any:
        return data if isinstance(data, Part) else hashlib.md5(data)


def apply(journal: Journal) -> "Uploads":
    from ministack.services import s3

    uploads = Uploads(s3, journal)
    s3.hashlib = _Hashlib()
    replace(s3, "_create_multipart_upload", lambda original: functools.partial(uploads.create, original))
    replace(s3, "_upload_part", lambda original: functools.partial(uploads.part, original))
    replace(s3, "_upload_part_copy", lambda original: functools.partial(uploads.part_copy, original))
    replace(
        s3, "_complete_multipart_upload", lambda original: guarded(s3, functools.partial(uploads.complete, original))
    )
    replace(s3, "_abort_multipart_upload", lambda original: functools.partial(uploads.abort, original))
    uploads.load()
    return uploads


class Uploads:
    def __init__(self, s3: Any, journal: Journal) -> None:
        self._s3 = s3
        self._journal = journal

    def _directory(self, upload_id: str) -> Path:
        return self._journal.uploads / upload_id

    def create(self, original: Any, bucket: str, key: str, headers: Any) -> Any:
        before = set(self._s3._multipart_uploads)
        answer = original(bucket, key, headers)
        for upload_id in set(self._s3._multipart_uploads) - before:
            upload = self._s3._multipart_uploads[upload_id]
            directory = private_directory(self._directory(upload_id))
            record = {
                "account": self._s3.get_account_id(),
                **{name: value for name, value in upload.items() if name != "parts"},
            }
            write_atomically(directory / "upload.json", json.dumps(record).encode())
        return answer

    def part(self, original: Any, bucket: str, key: str, body: Any, query: Any, headers: Any) -> Any:
        content = received.get()
        answer = original(bucket, key, body if content is None else content, query, headers)
        if answer[0] == 200:
            self._keep(query)
        return answer

    def part_copy(self, original: Any, bucket: str, key: str, query: Any, headers: Any) -> Any:
        answer = original(bucket, key, query, headers)
        if answer[0] == 200:
            self._keep(query)
        return answer

    def _keep(self, query: Any) -> None:
        """Move a part's content from memory to its file, with a record of it beside."""
        upload_id, number = self._s3._qp(query, "uploadId"), int(self._s3._qp(query, "partNumber"))
        part = self._s3._multipart_uploads[upload_id]["parts"][number]
        content, path = part["body"], self._directory(upload_id) / str(number)
        staged = new_name(self._journal.staging)
        stage(staged, content)
        staged.rename(path.with_name(staged.name))
        record = {name: value for name, value in part.items() if name != "body"}
        write_atomically(path.with_suffix(".json"), json.dumps({**record, "file": staged.name}).encode())
        part["body"], part["file"] = Part.of(part["size"], bytes.fromhex(part["etag"].strip('"'))), staged.name

    def complete(self, original: Any, bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        answer = original(bucket, key, body, query, headers)
        upload_id = self._s3._qp(query, "uploadId")
        if answer[0] == 200 and upload_id not in self._s3._multipart_uploads:
            shutil.rmtree(self._directory(upload_id), ignore_errors=True)
        return answer

    def join(self, upload_id: str, body: bytes) -> Blob | None:
        """The parts a CompleteMultipartUpload names, in one new file of the staging directory; None where there is no such upload.

        A part that was not uploaded is left out, and left to ministack's check.
        """
        upload = next(
            (record for (_, name), record in list(self._s3._multipart_uploads._data.items()) if name == upload_id), None
        )
        if upload is None:
            return None
        path, size = new_name(self._journal.staging), 0
        with path.open("xb") as file:
            for number in _part_numbers(self._s3, body):
                part = upload["parts"].get(number)
                if part is not None:
                    append(file, Blob(self._directory(upload_id) / part["file"], part["size"]))
                    size += part["size"]
        return Blob(path, size)

    def abort(self, original: Any, bucket: str, key: str, query: Any) -> Any:
        upload_id = self._s3._qp(query, "uploadId")
        answer = original(bucket, key, query)
        if upload_id and upload_id not in self._s3._multipart_uploads and "/" not in upload_id:
            shutil.rmtree(self._directory(upload_id), ignore_errors=True)
        return answer

    def load(self) -> None:
        """Take up the uploads that were under way."""
        for directory in self._journal.uploads.iterdir():
            try:
                record = json.loads((directory / "upload.json").read_text())
            except (OSError, ValueError):
                log.warning("%s: an upload without a record, removed", directory)
                shutil.rmtree(directory, ignore_errors=True)
                continue
            account = record.pop("account")
            self._s3._multipart_uploads._data[(account, directory.name)] = {**record, "parts": dict(_parts(directory))}


def _parts(directory: Path) -> list[tuple[int, dict[str, Any]]]:
    parts = []
    for path in directory.glob("*.json"):
        if path.stem.isdigit():
            part = json.loads(path.read_text())
            if (directory / part["file"]).is_file():
                body = Part.of(part["size"], bytes.fromhex(part["etag"].strip('"')))
                parts.append((int(path.stem), {**part, "body": body}))
    return sorted(parts)


def _part_numbers(s3: Any, body: bytes) -> list[int]:
    try:
        root = s3.fromstring(body)
    except s3.ParseError:
        return []
    texts = [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == "PartNumber"]
    return sorted({int(text) for text in texts if text.strip().isdigit()})
