"""The index of who has what: SQLite for questions, and beside it a log of every change, from which it can be made again.

A change is a line of the log before it is committed to the index, and the log holds the manifests themselves: with it and the blobs on
disk a damaged index is no loss. It is set aside under a name of its own, never written over, and the log is replayed. When images were
last pulled and what scans found is not in the log: the one is told by the next pull, the other by a new scan.
"""

import base64
import errno
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from awssim.errors import StateUnusable
from awssim.files import write_atomically

log = logging.getLogger("awssim.registry")
Value = str | int | float | bytes | None

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blob (repository TEXT, digest TEXT, size INTEGER, at REAL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blob_digest ON blob (digest);
CREATE TABLE IF NOT EXISTS manifest (repository TEXT, digest TEXT, media_type TEXT, artifact_type TEXT, config_type TEXT, subject TEXT,
    size INTEGER, pushed_at REAL, pulled_at REAL, content BLOB, PRIMARY KEY (repository, digest));
CREATE TABLE IF NOT EXISTS needs (repository TEXT, manifest TEXT, digest TEXT, PRIMARY KEY (repository, manifest, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tag (repository TEXT, tag TEXT, digest TEXT, at REAL, PRIMARY KEY (repository, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scan (repository TEXT, digest TEXT, report TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
"""
_CHANGES = {
    "blob": "INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?)",
    "no blob": "DELETE FROM blob WHERE repository = ? AND digest = ?",
    "manifest": "INSERT INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "no manifest": "DELETE FROM manifest WHERE repository = ? AND digest = ?",
    "needs": "INSERT OR IGNORE INTO needs VALUES (?, ?, ?)",
    "no needs": "DELETE FROM needs WHERE repository = ? AND manifest = ?",
    "tag": "INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?)",
    "no tag": "DELETE FROM tag WHERE repository = ? AND tag = ?",
    "no tags": "DELETE FROM tag WHERE repository = ? AND digest = ?",
    "unused": "DELETE FROM blob WHERE at < ? AND NOT EXISTS "
    "(SELECT 1 FROM needs WHERE needs.repository = blob.repository AND needs.digest = blob.digest)",
    "no manifests of": "DELETE FROM manifest WHERE repository = ?",
    "no tags of": "DELETE FROM tag WHERE repository = ?",
    "no needs of": "DELETE FROM needs WHERE repository = ?",
    "no blobs of": "DELETE FROM blob WHERE repository = ?",
}
_KEPT = ("blob", "manifest", "needs", "tag")
_LONGEST = 32 << 20


class Index:
    """``db`` is for questions; every change of what the log keeps goes through ``change``."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "index.sqlite"
        self._log = directory / "changes.jsonl"
        try:
            self.db = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, no room, not to be written: nothing is damaged
                raise StateUnusable(f"{self._path}: {error}") from error
            self._set_aside(error)
            self.db = self._open()
            self._replay()
        if not self._log.exists() or self._log.stat().st_size > _LONGEST:
            self._rewrite()
        self._lines = self._log.open("ab", buffering=0)

    def close(self) -> None:
        self.db.close()
        self._lines.close()

    @property
    def damaged(self) -> bool:
        """Is there an index that was set aside and nobody has looked at?"""
        return any(self._path.parent.glob("*.damaged-*"))

    def change(self, name: str, *values: Value) -> None:
        """Raises OSError or sqlite3.Error where it cannot be kept."""
        line = _line(name, values)
        if self._lines.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._log))
        self.db.execute(_CHANGES[name], values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _set_aside(self, error: Exception) -> None:
        when = time.strftime("%Y%m%dT%H%M%S")
        self._path.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)  # SQLite's own scratch
        for suffix in ("", "-wal"):
            path = self._path.with_name(self._path.name + suffix)
            if path.exists():
                path.rename(path.with_name(f"{path.name}.damaged-{when}"))
        log.error("%s was damaged (%s); kept as %s.damaged-%s", self._path, error, self._path.name, when)

    def _replay(self) -> None:
        if not self._log.exists():
            log.error("%s is missing: which images there were is not known; push them again", self._log)
            return
        changes, unreadable = 0, 0
        with self.transaction(), self._log.open("rb") as file:
            for line in filter(None, map(bytes.strip, file)):
                try:
                    name, *values = json.loads(line)
                    self.db.execute(_CHANGES[name], [_value(value) for value in values])
                    changes += 1
                except (ValueError, KeyError, TypeError, sqlite3.Error):
                    unreadable += 1  # the last line, of a process that was killed while it wrote
        self._rewrite()
        images = self.db.execute("SELECT count(*) FROM manifest").fetchone()[0]
        log.warning(
            "the index of images was made again: %s images, %s changes, %s unreadable", images, changes, unreadable
        )

    def _rewrite(self) -> None:
        """The shortest log that leads to what the index holds."""
        lines = [
            _line(table, row)
            for table in _KEPT
            for row in self.db.execute(f"SELECT * FROM {table} ORDER BY {_order(table)}")
        ]
        write_atomically(self._log, b"".join(lines))


def _order(table: str) -> str:
    return "pushed_at, rowid" if table == "manifest" else "1, 2"


def _line(name: str, values: tuple[Value, ...]) -> bytes:
    """It begins with the line break: one that a kill or a full disk cut short does not spoil the next."""
    plain: list[Any] = [
        {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value for value in values
    ]
    return b"\n" + json.dumps([name, *plain]).encode()


def _value(value: Any) -> Value:
    if isinstance(value, dict):
        return base64.b64decode(value["bytes"])
    return value  # type: ignore[no-any-return]
