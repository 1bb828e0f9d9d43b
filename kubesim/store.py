"""One append-only log with one revision; every verb is a short reading of it.

What is guaranteed:
- A write that returned is in SQLite's write-ahead log, handed to the kernel: it survives kill -9 of this process at any moment.
  (`synchronous=NORMAL`: the file never tears, but a power cut may take the last writes with it. etcd would fsync each.)
- Revisions are one sequence over all kinds, without gaps or reuse, also across restarts. An object's resourceVersion is the revision of
  its last write.
- A watcher misses nothing: it listens before it scans the history, so a write after the scan is told.
- Telling costs a write nothing but one call put on the loop, however many listen and however many writes one turn of the loop brings.
- History is bounded per kind. Who asks for changes older than what is kept gets `Compacted`, never a gap.
- No write waits for the disk: what the write-ahead log has collected is carried over into the file, with the fsyncs that takes, by a thread
  with a connection of its own.

Everything else runs on one thread and no method awaits, so a caller that reads and then writes without awaiting is atomic: this is the only
locking rule. Objects are kept as their encoded bytes; the parsed form is made when someone asks, is shared, and must not be changed.
A kind is named by its storage name ("configmaps", "deployments.apps"): the versions of a kind share their objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import orjson

from kubesim.resources import Object

HISTORY = 4000
"""Changes kept per kind for watchers that resume. A kind that changes 100 times a second can be resumed for 40 s."""

COMPACT_EVERY = 500
"""Writes between two compactions of the file, and between two times that the write-ahead log is carried over: often, so that each is short."""

LOG_PAGES = 10_000
"""Pages of 4 KiB at which a write carries the log over itself: only where writes come so fast for so long that the thread never catches up."""

KEEP = 5000
"""Writes that the file keeps as history, for watchers that resume after a restart."""

PARSED = 2000
"""Parsed forms kept in this process, whatever the number of objects."""

Action = Literal["ADDED", "MODIFIED", "DELETED"]
_ACTIONS: tuple[Action, ...] = ("ADDED", "MODIFIED", "DELETED")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                                action INTEGER NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class Exists(Exception):
    """The name is taken."""


class Compacted(Exception):
    """The history no longer reaches back to the revision asked for; `oldest` is the first one it does reach."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"{asked} ({oldest})")
        self.asked, self.oldest = asked, oldest


class Record:
    """One version of one object: encoded bytes, and the parsed form on demand. Never changes."""

    __slots__ = ("_object", "data", "name", "namespace", "revision")
    _parsed: ClassVar[deque[Record]] = deque()

    def __init__(self, namespace: str, name: str, revision: int, data: bytes, parsed: Object | None = None) -> None:
        self.namespace = namespace
        self.name = name
        self.revision = revision
        self.data = data
        self._object = None if parsed is None else self._keep(parsed)

    @property
    def object(self) -> Object:
        """Shared: copy before changing it."""
        found = self._object
        return self._keep(orjson.loads(self.data)) if found is None else found

    def _keep(self, parsed: Object) -> Object:
        """The last PARSED parsed forms stay; a parsed object is five times its bytes, and most are never looked at again."""
        self._object = parsed
        self._parsed.append(self)
        while len(self._parsed) > PARSED:
            self._parsed.popleft()._object = None
        return parsed


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log. `record` is the object after it (for DELETED: as it was last, at the deletion's revision)."""

    revision: int
    action: Action
    record: Record
    previous: Record | None


class Page(NamedTuple):
    """A part of a list. `following` is the (namespace, name) of the last item where more follow."""

    records: Sequence[Record]
    following: tuple[str, str] | None
    remaining: int


class _Kind:
    """The objects of one kind, their history, and who listens for the next change."""

    def __init__(self, floor: int) -> None:
        self.objects: dict[str, dict[str, Record]] = {}
        self.names: dict[str, list[str]] = {}
        self.history: list[Change] = []
        self.revisions: list[int] = []
        self.floor = floor
        self.changed = 0
        self.listeners: dict[object, Callable[[], None]] = {}
        self.telling = False

    def spaces(self, namespace: str) -> Sequence[str]:
        """This namespace, or all in order."""
        return (namespace,) if namespace else sorted(self.objects)

    def sorted_names(self, namespace: str) -> list[str]:
        """Sorted once per creation or deletion, not per list."""
        found = self.names.get(namespace)
        if found is None:
            if namespace not in self.objects:
                return []  # not kept: clients may ask for names of their own invention
            found = self.names[namespace] = sorted(self.objects[namespace])
        return found

    def put(self, record: Record) -> None:
        space = self.objects.setdefault(record.namespace, {})
        if record.name not in space:
            self.names.pop(record.namespace, None)
        space[record.name] = record

    def drop(self, namespace: str, name: str) -> None:
        space = self.objects[namespace]
        del space[name]
        self.names.pop(namespace, None)
        if not space:
            del self.objects[namespace]

    def remember(self, change: Change) -> None:
        self.changed = change.revision
        self.history.append(change)
        self.revisions.append(change.revision)
        if len(self.history) > HISTORY * 5 // 4:
            cut = len(self.history) - HISTORY
            self.floor = self.revisions[cut - 1]
            del self.history[:cut], self.revisions[:cut]
        if self.listeners and not self.telling:
            self.telling = True
            asyncio.get_running_loop().call_soon(self.tell)

    def tell(self) -> None:
        self.telling = False
        for listener in tuple(self.listeners.values()):
            listener()


class Store:
    """See the module. `path` None keeps everything in memory (for tests of pure readings)."""

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint={LOG_PAGES};"
            + _SCHEMA
        )
        self._carrier = Carrier(path)
        self._kinds: dict[str, _Kind] = {}
        self._superseded: deque[tuple[int, int]] = deque()
        self._writes = 0
        self.revision = self._load()

    def close(self) -> None:
        self._carrier.close()
        self._db.close()

    # Reading

    def get(self, kind: str, namespace: str, name: str) -> Record | None:
        held = self._kinds.get(kind)
        return held.objects.get(namespace, {}).get(name) if held else None

    def list(self, kind: str, namespace: str = "") -> list[Record]:
        """Every object of the kind, of one namespace or of all, in the order of namespace and name."""
        return list(self._iterate(kind, namespace))

    def page(self, kind: str, namespace: str, *, limit: int, after: tuple[str, str] | None) -> Page:
        """At most `limit` objects (0: all) that come after (namespace, name). Costs what it returns, not what there is."""
        records = list(islice(self._iterate(kind, namespace, after), limit or None))
        if not limit or len(records) < limit:
            return Page(records, None, 0)
        following = records[-1].namespace, records[-1].name
        remaining = self._beyond(kind, namespace, following)
        return Page(records, following if remaining else None, remaining)

    def count(self, kind: str) -> int:
        held = self._kinds.get(kind)
        return sum(map(len, held.objects.values())) if held else 0

    def changed(self, kind: str) -> int:
        """The revision of the kind's last change, 0 where there was none since the file was compacted."""
        held = self._kinds.get(kind)
        return held.changed if held else 0

    def _iterate(self, kind: str, namespace: str, after: tuple[str, str] | None = None) -> Iterator[Record]:
        held = self._kinds.get(kind)
        if held is None:
            return
        for space in held.spaces(namespace):
            if after is None or space >= after[0]:
                names, objects = held.sorted_names(space), held.objects.get(space, {})
                start = bisect_right(names, after[1]) if after and space == after[0] else 0
                for name in names[start:]:
                    yield objects[name]

    def _beyond(self, kind: str, namespace: str, after: tuple[str, str]) -> int:
        """How many objects come after (namespace, name)."""
        held = self._held(kind)
        names = held.sorted_names(after[0])
        later = (len(held.objects[space]) for space in held.spaces(namespace) if space > after[0])
        return len(names) - bisect_right(names, after[1]) + sum(later)

    # Watching

    @contextlib.contextmanager
    def listening(self, kind: str, listener: Callable[[], None]) -> Iterator[None]:
        """Calls `listener`, which must not raise, in the loop's turn after a change of the kind. Listen before `changes`: that is what
        makes a watch complete.
        """
        held, key = self._held(kind), object()
        held.listeners[key] = listener
        try:
            yield
        finally:
            del held.listeners[key]

    def changes(self, kind: str, since: int) -> Sequence[Change]:
        """What happened to the kind after revision `since`; raises Compacted where that is no longer known."""
        held = self._held(kind)
        if since < held.floor:
            raise Compacted(since, held.floor)
        if not held.revisions or held.revisions[-1] <= since:
            return ()
        return held.history[bisect_right(held.revisions, since) :]

    # Writing

    def create(self, kind: str, obj: Object) -> Record:
        """Stores `obj`, which must have metadata.name; sets its resourceVersion. Raises Exists."""
        metadata = obj["metadata"]
        if self.get(kind, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise Exists
        return self._write(kind, obj, "ADDED", None)

    def update(self, kind: str, obj: Object, old: Record) -> Record:
        """Replaces `old`, which must be the latest (the caller has just read it, without awaiting since)."""
        return self._write(kind, obj, "MODIFIED", old)

    def delete(self, kind: str, old: Record, last: Object | None = None) -> Record:
        """Removes the object; the record that comes back is what watchers see: its last state at the deletion's revision."""
        obj = last or old.object
        return self._write(kind, obj | {"metadata": dict(obj["metadata"])}, "DELETED", old)

    def _write(self, kind: str, obj: Object, action: Action, old: Record | None) -> Record:
        revision = self.revision + 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(revision)
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        record = Record(namespace, name, revision, orjson.dumps(obj), obj)
        row = (revision, kind, namespace, name, _ACTIONS.index(action), record.data)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row)
        self.revision = revision
        self._apply(kind, Change(revision, action, record, old))
        self._writes += 1
        if self._writes % COMPACT_EVERY == 0:
            self.compact()
            self._carrier.carry()
        return record

    def _apply(self, kind: str, change: Change) -> None:
        held = self._held(kind)
        if change.action != "DELETED":
            held.put(change.record)
        elif change.previous is not None:
            held.drop(change.record.namespace, change.record.name)
        if change.previous is not None:
            self._superseded.append((change.revision, change.previous.revision))
        if change.action == "DELETED":
            self._superseded.append((change.revision, change.revision))
        held.remember(change)

    def _held(self, kind: str) -> _Kind:
        held = self._kinds.get(kind)
        if held is None:
            held = self._kinds[kind] = _Kind(self._floor)
        return held

    # The file

    def _load(self) -> int:
        """Replays the file. Rows before the compaction floor are only the state; later ones are history too."""
        meta = dict(self._db.execute("SELECT name, value FROM meta"))
        self._floor = int(meta.get("floor", 0))
        revision = self._floor
        rows = self._db.execute("SELECT revision, kind, namespace, name, action, value FROM log ORDER BY revision")
        for at, kind, namespace, name, action, value in rows:
            previous = self.get(kind, namespace, name)
            self._apply(kind, Change(at, _ACTIONS[action], Record(namespace, name, at, value), previous))
            revision = max(revision, at)
        for held in self._kinds.values():
            cut = bisect_right(held.revisions, self._floor)
            del held.history[:cut], held.revisions[:cut]
        return revision

    def compact(self) -> None:
        """Forgets, in the file, what came before the last KEEP writes and is no longer the state at that point.

        A row may go once what superseded it may go too, and not before: else a restart would meet the end of an object that it has never
        seen. Superseded rows are noted in the order in which they were superseded, so nothing is searched for.
        """
        floor = self.revision - KEEP
        if floor <= self._floor:
            return
        gone = []
        while self._superseded and self._superseded[0][0] <= floor:
            gone.append((self._superseded.popleft()[1],))
        self._db.execute("BEGIN")
        self._db.executemany("DELETE FROM log WHERE revision = ?", gone)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('floor', ?)", (floor,))
        self._db.execute("COMMIT")
        self._floor = floor


class Carrier:
    """Carries the write-ahead log over into the file, in a thread: writers go on meanwhile (a PASSIVE checkpoint waits for nobody)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def carry(self) -> None:
        """Returns at once; one at a time."""
        if self._path is not None and (self._pending is None or self._pending.done()):
            self._pending = self._thread.submit(self._checkpoint, self._path)

    def close(self) -> None:
        """Waits for the one that is under way."""
        self._thread.shutdown()

    def _checkpoint(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
