"""Blob uploads under way: a file that grows, hashed as it grows.

An upload outlives the process: its file's length is its offset, and the hash is made again from the file where the process that began it
has gone. Which repository it belongs to is in the record beside the file.
"""

import asyncio
import hashlib
import json
import re
import uuid
from pathlib import Path
from typing import Any

from awssim.asgi import Receive
from awssim.files import write_atomically
from awssim.payload import Disconnected
from awssim.pipe import Pieces, Pipe, write_all
from awssim.registry import names
from awssim.registry.answers import OciError

_NAME = re.compile(r"[0-9a-f-]+")


class Upload:
    def __init__(self, path: Path, hasher: Any = None, size: int = 0) -> None:
        self.path = path
        self._hasher = hasher
        self.size = size
        self.lock = asyncio.Lock()

    async def receive(self, receive: Receive) -> None:
        """Append a request's body. A client that goes away leaves what had arrived, and may go on from there."""
        pipe, more, gone = Pipe(self.append), True, False
        while more:
            message = await receive()
            gone = message["type"] != "http.request"
            more = message.get("more_body", False) and not gone
            await pipe.put(message.get("body", b""))
        await pipe.end()
        if gone:
            raise Disconnected

    def append(self, pieces: Pieces) -> None:
        """Write at the end, and go on with the hash."""
        if self._hasher is None:
            self._hasher = _hash_of(self.path, "sha256")
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self.size)
            write_all(file.fileno(), pieces)
        for piece in pieces:
            self._hasher.update(piece)
            self.size += len(piece)

    def digest(self, algorithm: str) -> str:
        if algorithm != "sha256" or self._hasher is None:
            return f"{algorithm}:{_hash_of(self.path, algorithm).hexdigest()}"
        return "sha256:" + str(self._hasher.hexdigest())


def _hash_of(path: Path, algorithm: str) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: names.hasher(algorithm))


class Uploads:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, Upload] = {}

    def begin(self, repository: str) -> str:
        name = str(uuid.uuid4())
        write_atomically(self._record(name), json.dumps({"repository": repository}).encode())
        (self._directory / name).touch(mode=0o600)
        self._open[name] = Upload(self._directory / name, hashlib.sha256())
        return name

    def find(self, repository: str, name: str) -> Upload:
        """The upload of this name in this repository."""
        path = self._directory / name
        try:
            known = _NAME.fullmatch(name) and json.loads(self._record(name).read_text())["repository"] == repository
            size = path.stat().st_size
        except (FileNotFoundError, ValueError):
            known = False
        if not known:
            raise OciError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        return self._open.setdefault(name, Upload(path, None, size))

    def forget(self, name: str) -> None:
        self._open.pop(name, None)
        for path in (self._directory / name, self._record(name)):
            path.unlink(missing_ok=True)

    def _record(self, name: str) -> Path:
        return self._directory / f"{name}.json"
