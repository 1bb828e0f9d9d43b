"""What is known of every object, read at the start: from an index where nothing has changed, from the sidecars where something has.

The sidecar beside an object's data is the truth. The index (SQLite) is a copy of what the sidecars said, a row each with the inode, the
size and the time of the file it was read from, as in git's index: a row counts only while the file is that one, and sidecars are replaced,
never written over. So the index may be old, damaged or gone, and a start is only slower. It is brought up to date in the background.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from awssim.files import private_directory

log = logging.getLogger("awssim.sidecars")
SUFFIX = ".meta.json"
Stamp = tuple[int, int, int]
_SCHEMA = """CREATE TABLE IF NOT EXISTS sidecar
(path TEXT PRIMARY KEY, inode INTEGER, size INTEGER, changed INTEGER, text BLOB) WITHOUT ROWID"""
_BATCH = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A data file, a sidecar, or both. ``path`` is the data file's: ACCOUNT/BUCKET/NAME."""

    path: str
    stamp: Stamp | None
    has_data: bool


def scan(data: Path) -> Iterator[Found]:
    """Every object file below the data directory. What a killed process was writing is removed."""
    for account in sorted(data.iterdir()):
        if account.is_dir() and not account.name.startswith("."):
            for bucket in sorted(account.iterdir()):
                yield from _scan(f"{data}/", f"{account.name}/{bucket.name}/")


def _scan(base: str, top: str) -> Iterator[Found]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        files, sidecars = set[str](), dict[str, Stamp]()
        with os.scandir(base + folder) as entries:
            for entry in entries:
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif name.endswith(".tmp"):
                    Path(entry.path).unlink(missing_ok=True)
                elif name.endswith(SUFFIX):
                    status = entry.stat()
                    sidecars[name[: -len(SUFFIX)]] = (status.st_ino, status.st_size, status.st_mtime_ns)
                else:
                    files.add(name)
        for name in files | sidecars.keys():
            yield Found(name, sidecars.get(name), name in files)


class Sidecars:
    """All sidecars, and the index of them."""

    def __init__(self, data: Path, index: Path, damaged: Path) -> None:
        self._data = data
        self._index = index
        self._damaged = damaged
        self.reported: list[str] = []
        self.read = 0

    def all(self) -> Iterator[tuple[Found, dict[str, Any]]]:
        """Every object file with what its sidecar says: nothing where it has none, or where it was damaged."""
        waiting = {found.path: found for found in scan(self._data)}
        for path, stamp, text in self._rows() if len(waiting) > _BATCH else ():
            found = waiting.get(path)
            if found and found.stamp == stamp:
                del waiting[path]
                yield found, orjson.loads(text)
        for found in waiting.values():
            yield found, self._read(found)

    def _rows(self) -> Iterator[tuple[str, Stamp, bytes]]:
        if not self._index.exists():
            return
        try:
            with closing(self._open()) as db:
                for path, inode, size, changed, text in db.execute("SELECT * FROM sidecar"):
                    yield path, (inode, size, changed), text
        except sqlite3.DatabaseError as error:
            log.warning("%s: %s; it is made again from the objects", self._index, error)
            self._index.unlink()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._index, isolation_level=None)
        db.execute("PRAGMA synchronous=OFF")
        db.execute(_SCHEMA)
        return db

    def _read(self, found: Found) -> dict[str, Any]:
        self.read += 1
        path = self._data / f"{found.path}{SUFFIX}"
        try:
            value = orjson.loads(path.read_bytes()) if found.stamp else {}
        except orjson.JSONDecodeError as error:
            self._set_aside(path, error)
            return {}
        return value if isinstance(value, dict) else {}

    def _set_aside(self, path: Path, error: Exception) -> None:
        """A sidecar that cannot be read is kept under ``damaged``, and named by health: a later write must not cover it."""
        when = f"{time.strftime('%Y%m%dT%H%M%S')}-{len(self.reported)}"
        aside = private_directory(self._damaged) / f"{path.name[-150:]}.damaged-{when}"
        path.rename(aside)
        self.reported.append(str(aside))
        log.error("%s was damaged (%s); kept as %s; the object is served by what its data tells", path, error, aside)

    def refresh(self) -> int:
        """Bring the index up to date, and how many rows that changed. For a thread beside the loop: it gives way after every few rows."""
        with closing(self._open()) as db:
            rows = db.execute("SELECT path, inode, size, changed FROM sidecar")
            known = {path: stamp for path, *stamp in rows}
            changed = []
            for found in _giving_way(scan(self._data)):
                if found.stamp and known.pop(found.path, None) != list(found.stamp):
                    changed.append(found)
            for batch in _batches(changed):
                self._put(db, batch)
            for paths in _batches(list(known)):
                db.executemany("DELETE FROM sidecar WHERE path = ?", [(path,) for path in paths])
            return len(changed) + len(known)

    def _put(self, db: sqlite3.Connection, batch: list[Found]) -> None:
        rows = []
        for found in batch:
            try:
                text = (self._data / f"{found.path}{SUFFIX}").read_bytes()
                orjson.loads(text)
            except (OSError, orjson.JSONDecodeError):
                continue  # gone again, or for the next start to report
            rows.append((found.path, *(found.stamp or ()), text))
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR REPLACE INTO sidecar VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")


def _batches(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
        time.sleep(0.001)


def _giving_way(items: Iterable[Found]) -> Iterator[Found]:
    for number, item in enumerate(items):
        if not number % _BATCH:
            time.sleep(0.001)
        yield item
