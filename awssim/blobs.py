"""Content in a file instead of in memory: what a large S3 body is while ministack handles it.

A Blob is not ``bytes`` on purpose: a path of ministack that we have not taught about it fails loudly instead of storing nothing.
"""

import base64
import errno
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from awssim import crc
from awssim.pipe import BLOCK, Pieces, write_all
from awssim.slots import Place

IN_MEMORY = 256 * 1024


def new_hash(algorithm: str) -> crc.Running | None:
    """A hash by S3's name of the algorithm, or None where there is no such algorithm."""
    makers: dict[str, Any] = {
        "MD5": hashlib.md5, "SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "CRC32": crc.crc32,
        "CRC32C": crc.crc32c, "CRC64NVME": crc.crc64nvme,
    }  # fmt: skip
    maker = makers.get(algorithm.upper().replace("_", ""))
    return maker() if maker else None


@dataclass(frozen=True)
class Blob:
    """``size`` bytes of a file from ``offset`` on, with the digests that are known of them."""

    path: Path
    size: int
    offset: int = 0
    digests: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return self.size > 0

    def __getitem__(self, part: slice) -> "Blob":
        start, stop, _ = part.indices(self.size)
        return Blob(self.path, max(0, stop - start), self.offset + start)

    def digest(self, algorithm: str) -> bytes | None:
        """The digest of the content; the file is read where it is not known yet."""
        known = self.digests.get(algorithm)
        if known is None:
            hasher = new_hash(algorithm)
            if hasher is None:
                return None
            with self.open() as file:
                left = self.size
                while left and (data := file.read(min(BLOCK, left))):
                    hasher.update(data)
                    left -= len(data)
            known = self.digests[algorithm] = hasher.digest()
        return known

    def checksum(self, algorithm: str) -> str | None:
        """The digest as S3 writes it in ``x-amz-checksum-`` headers."""
        digest = self.digest(algorithm.upper().replace("_", ""))
        return base64.b64encode(digest).decode() if digest is not None else None

    def open(self) -> IO[bytes]:
        file = self.path.open("rb", buffering=0)
        file.seek(self.offset)
        return file

    def read(self) -> bytes:
        with self.open() as file:
            return file.read(self.size)

    def place(self, target: Path) -> None:
        """Make ``target`` (which must not exist) hold this content; a whole file is linked, not copied."""
        if not self.offset and self.size == self.path.stat().st_size:
            target.hardlink_to(self.path)
            return
        with target.open("xb") as file:
            append(file, self)


def append(file: IO[bytes], blob: Blob) -> None:
    """Copy a blob to the end of a file, in the kernel."""
    with blob.open() as source:
        file.flush()
        left, offset = blob.size, blob.offset
        while left:
            copied = _copy(source.fileno(), file.fileno(), offset, left)
            if not copied:
                raise OSError(f"{blob.path} is shorter than it was")
            left, offset = left - copied, offset + copied


def _copy(source: int, target: int, offset: int, size: int) -> int:
    try:
        return os.copy_file_range(source, target, size, offset_src=offset)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        return os.write(target, os.pread(source, min(BLOCK, size), offset))  # a file system without that call


def new_name(directory: Path) -> Path:
    return directory / secrets.token_hex(12)


class Spool:
    """A body as it arrives: in memory while it is small, then in a file; hashed on the way."""

    def __init__(self, directory: Path, algorithms: list[str], place: Place | None = None) -> None:
        self._directory = directory
        self._place = place
        self._hashes = {name: hasher for name in ("MD5", *algorithms) if (hasher := new_hash(name))}
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.path: Path | None = None
        self.size = 0

    def write(self, pieces: Pieces) -> None:
        self.size += sum(map(len, pieces))
        if self._file is None and self.size <= IN_MEMORY:
            self._memory += b"".join(pieces)
            return
        if self._file is None:
            self._file = self._open()
            pieces = [bytes(self._memory), *pieces]
            self._memory.clear()
        for hasher in self._hashes.values():
            for piece in pieces:
                hasher.update(piece)
        write_all(self._file.fileno(), pieces)

    def _open(self) -> IO[bytes]:
        if self._place is None:
            self.path = new_name(self._directory)
            return self.path.open("xb", buffering=0)
        self.path = self._place.path
        file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0)
        file.seek(self._place.offset)
        return file

    def finish(self) -> bytes | Blob:
        """The whole body."""
        if self._file is None or self.path is None:
            return bytes(self._memory)
        self._file.close()
        offset = self._place.offset if self._place else 0
        return Blob(self.path, self.size, offset, {name: hasher.digest() for name, hasher in self._hashes.items()})

    def discard(self) -> None:
        if self._file is not None and self.path is not None:
            self._file.close()
            if self._place is None:
                self.path.unlink(missing_ok=True)
