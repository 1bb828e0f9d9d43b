"""Container logs in the CRI's format: one line per record, `TIME STREAM P|F TEXT`; files are rotated by size.

The shim writes them, the API's log subresource reads them; both may be restarted without losing a line. A writer that meets a full disk
drops lines rather than stopping the container.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH103, PTH105, PTH110, PTH120
from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROTATE_BYTES = 10 * 1024 * 1024
KEEP_FILES = 5
MAX_LINE = 16 * 1024


@dataclass(frozen=True)
class Line:
    """One record. `time` is RFC 3339 with nanoseconds; `text` ends with a newline unless the record is partial."""

    time: str
    stream: str
    text: bytes


def now() -> str:
    """RFC 3339 in UTC with nine digits, as container runtimes write it."""
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


class Writer:
    """Appends what one container writes; each stream's unfinished line waits here until its end comes or it grows too long."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.waiting: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._open()

    def _open(self) -> None:
        self.file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.size = os.fstat(self.file).st_size

    def write(self, stream: str, data: bytes) -> None:
        stamp = now()
        *lines, rest = (self.waiting[stream] + data).split(b"\n")
        records = [record for line in lines for record in _records(stamp, stream, line, last=b"F")]
        while len(rest) >= MAX_LINE:
            records.append(b"%s %s P %s\n" % (stamp.encode(), stream.encode(), rest[:MAX_LINE]))
            rest = rest[MAX_LINE:]
        self.waiting[stream] = rest
        self._append(b"".join(records))

    def close(self) -> None:
        """Write unfinished lines as partial records and close."""
        for stream, rest in self.waiting.items():
            if rest:
                self._append(b"".join(_records(now(), stream, rest, last=b"P")))
        os.close(self.file)

    def _append(self, records: bytes) -> None:
        if not records:
            return
        if self.size and self.size + len(records) > ROTATE_BYTES:
            self._rotate()
        try:
            self.size += os.write(self.file, records)
        except OSError:
            pass  # a full disk loses log lines, never the container

    def _rotate(self) -> None:
        try:
            for number in range(KEEP_FILES - 2, 0, -1):
                if os.path.exists(f"{self.path}.{number}"):
                    os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
            os.replace(self.path, f"{self.path}.1")
        except OSError:
            return
        os.close(self.file)
        self._open()


def _records(stamp: str, stream: str, line: bytes, *, last: bytes) -> Iterator[bytes]:
    head = f"{stamp} {stream} ".encode()
    while len(line) > MAX_LINE:
        yield head + b"P " + line[:MAX_LINE] + b"\n"
        line = line[MAX_LINE:]
    yield head + last + b" " + line + b"\n"


def parse(record: bytes) -> Line:
    """One record without its newline. Raises ValueError for a record that was cut."""
    stamp, stream, tag, text = record.split(b" ", 3)
    return Line(time=stamp.decode(), stream=stream.decode(), text=text + (b"\n" if tag == b"F" else b""))


def files(path: Path) -> list[Path]:
    """The log's files, oldest first."""
    older = [path.with_name(f"{path.name}.{number}") for number in range(KEEP_FILES, 0, -1)]
    return [file for file in (*older, path) if file.exists()]


def read(path: Path) -> Iterator[Line]:
    """Every complete record, oldest first."""
    for file in files(path):
        with file.open("rb") as lines:
            for record in lines:
                if record.endswith(b"\n"):
                    try:
                        yield parse(record[:-1])
                    except ValueError:
                        continue


def tail(path: Path, count: int) -> list[bytes]:
    """The last lines as the container wrote them, for termination messages."""
    lines = b"".join(line.text for line in read(path)).splitlines(keepends=True)
    return lines[-count:] if count else []
