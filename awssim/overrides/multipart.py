"""Multipart uploads on disk: each acknowledged part survives kill -9, and completing one links a file instead of joining byte strings.

ministack keeps parts in memory only. A part's content and a small record lie under ``uploads/<upload>/``; in ministack's dictionary stands a
``Part``, an empty byte string that knows its length and its MD5, because ministack joins the parts' bodies.
"""

import asyncio
import functools
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from awssim.blobs import Blob, append, new_name
from awssim.files import private_directory, write_atomically
from awssim.journal import Journal, stage
from awssim.overrides.objects import guarded, received
from awssim.overrides.replace import replace
from awssim.pipe import write_all
from awssim.slots import NAME, Place, Slots

log = logging.getLogger("awssim.multipart")
_SMALLEST = 5 << 20


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
        self._slots: dict[str, Slots] = {}

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
            self._slots[upload_id] = Slots(directory / NAME)
        return answer

    @contextmanager
    def place(self, upload_id: str, number: str, size: int | None) -> Iterator[Place | None]:
        """Where the content of a part that is about to come may be written at once."""
        slots = self._slots.get(upload_id)
        if slots is None or not size or not _is_number(number):
            yield None
            return
        with slots.place(int(number), size) as place:
            yield place
            kept = (self._find(upload_id) or {"parts": {}})["parts"].get(int(number))
            if place and not (kept and kept.get("file") == NAME):
                slots.give_back(int(number))

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
        """Write the record of a part whose content is at its place, or else move the content to a file of its own first."""
        upload_id, number = self._s3._qp(query, "uploadId"), int(self._s3._qp(query, "partNumber"))
        part = self._s3._multipart_uploads[upload_id]["parts"][number]
        content, directory = part["body"], self._directory(upload_id)
        if isinstance(content, bytes):
            content = self._placed(upload_id, number, content)
        where: dict[str, Any] = {"file": NAME, "offset": getattr(content, "offset", 0)}
        if not self._is_placed(content, directory):
            staged = new_name(self._journal.staging)
            stage(staged, content)
            staged.rename(directory / staged.name)
            where = {"file": staged.name, "offset": 0}
        record = {name: value for name, value in part.items() if name != "body"} | where
        write_atomically(directory / f"{number}.json", json.dumps(record).encode())
        part |= {"body": Part.of(part["size"], bytes.fromhex(part["etag"].strip('"'))), **where}

    def _placed(self, upload_id: str, number: int, content: bytes) -> Blob | bytes:
        """A small part, often the last one, written at its place where it has one."""
        slots = self._slots.get(upload_id)
        if slots is None:
            return content
        with slots.place(number, len(content)) as place:
            if place is None:
                return content
            descriptor = os.open(place.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.lseek(descriptor, place.offset, os.SEEK_SET)
                write_all(descriptor, [content])
            finally:
                os.close(descriptor)
            return Blob(place.path, len(content), place.offset)

    @staticmethod
    def _is_placed(content: Any, directory: Path) -> bool:
        return isinstance(content, Blob) and content.path == directory / NAME

    def complete(self, original: Any, bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        upload_id = self._s3._qp(query, "uploadId")
        refused = self._refused(upload_id, body)
        if refused is not None:
            return refused
        answer = original(bucket, key, body, query, headers)
        if answer[0] == 200 and upload_id not in self._s3._multipart_uploads:
            self._forget(upload_id)
        return answer

    def _refused(self, upload_id: str, body: bytes) -> Any:
        """AWS's refusal of parts out of order, or too small to be followed by another: ministack sorts them, and takes any size."""
        upload, numbers = self._find(upload_id), _part_numbers(self._s3, body)
        if upload is None or any(number not in upload["parts"] for number in numbers):
            return None
        if numbers != sorted(set(numbers)):
            message = "The list of parts was not in ascending order. The parts list must be specified in order by part number."
            return self._s3._error("InvalidPartOrder", message, 400)
        if any(upload["parts"][number]["size"] < _SMALLEST for number in numbers[:-1]):
            return self._s3._error(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400
            )
        return None

    def _forget(self, upload_id: str) -> None:
        self._slots.pop(upload_id, None)
        shutil.rmtree(self._directory(upload_id), ignore_errors=True)

    def _find(self, upload_id: str) -> Any:
        """ministack's record of an upload, whosever account it is."""
        return next(
            (upload for (_, name), upload in self._s3._multipart_uploads._data.items() if name == upload_id), None
        )

    def _named(self, upload_id: str, body: bytes) -> list[Blob] | None:
        """The contents of the parts that a CompleteMultipartUpload names; None where there is no such upload.

        A part that was not uploaded is left out, and left to ministack's check.
        """
        upload = self._find(upload_id)
        if upload is None:
            return None
        parts = [
            upload["parts"][number]
            for number in sorted(set(_part_numbers(self._s3, body)))
            if number in upload["parts"]
        ]
        directory = self._directory(upload_id)
        return [Blob(directory / part["file"], part["size"], part["offset"]) for part in parts]

    async def whole(self, upload_id: str, body: bytes) -> Blob | None:
        """The parts a CompleteMultipartUpload names, as one new file of the staging directory; None where there is no such upload."""
        parts = self._named(upload_id, body)
        if parts is None:
            return None
        path, size = new_name(self._journal.staging), sum(part.size for part in parts)
        if _in_one_piece(parts, self._directory(upload_id) / NAME) and self._slots[upload_id].seal(size):
            path.hardlink_to(parts[0].path)
        else:
            await asyncio.to_thread(_join, path, parts)
        return Blob(path, size)

    def abort(self, original: Any, bucket: str, key: str, query: Any) -> Any:
        upload_id = self._s3._qp(query, "uploadId")
        answer = original(bucket, key, query)
        if upload_id and upload_id not in self._s3._multipart_uploads and "/" not in upload_id:
            self._forget(upload_id)
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
            self._slots[directory.name] = Slots(directory / NAME, sealed=True)


def _in_one_piece(parts: list[Blob], file: Path) -> bool:
    """Does each part begin in ``file`` where the one before it ends?"""
    end = 0
    for part in parts:
        if part.path != file or part.offset != end:
            return False
        end += part.size
    return bool(parts)


def _join(path: Path, parts: list[Blob]) -> None:
    try:
        with path.open("xb") as file:
            for part in parts:
                append(file, part)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _parts(directory: Path) -> list[tuple[int, dict[str, Any]]]:
    parts = []
    for path in directory.glob("*.json"):
        if path.stem.isdigit():
            try:
                part = json.loads(path.read_text())
            except ValueError:
                log.error("%s is damaged: that part has to be sent again", path)
                continue
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
    return [int(text) for text in texts if _is_number(text.strip())]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
