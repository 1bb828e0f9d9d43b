"""Events: what `kubectl describe` shows at the end.

Recording never waits and never fails a reconcile: events go through one bounded queue that one task writes. As client-go's correlator does, an
event that repeats becomes a higher `count` on the same object, more than ten different messages with one reason within ten minutes are combined
into one, and one object may have 25 events at once and then one every five minutes per source.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from kubesim.client import Client
from kubesim.controllers.clock import Clock, micro, stamp
from kubesim.controllers.kinds import EVENTS, type_of
from kubesim.errors import ApiError, NotFound
from kubesim.resources import Object

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

BACKLOG = 2000
REMEMBERED = 4096
SIMILAR, SIMILAR_SECONDS = 10, 600.0
BURST, REFILL_SECONDS = 25, 300.0


@dataclass(frozen=True)
class Source:
    """Who reports. `modern` writes what the events.k8s.io API leaves in a core Event: eventTime and action, no count (the scheduler's)."""

    component: str
    host: str = ""
    modern: bool = False


@dataclass(frozen=True)
class Note:
    """One thing to report. Two about one object are alike whatever its resourceVersion was: `version` is not compared."""

    source: Source
    regarding: tuple[tuple[str, str], ...]
    type: str
    reason: str
    message: str
    action: str
    version: str = field(default="", compare=False)


@dataclass
class _Written:
    name: str
    count: int
    first: datetime


class Events:
    """The queue of events of one process, and the task that writes them."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._pending: deque[Note] = deque(maxlen=BACKLOG)
        self._wake = asyncio.Event()
        self._written: OrderedDict[Note, _Written] = OrderedDict()
        self._similar: OrderedDict[object, tuple[set[str], datetime]] = OrderedDict()
        self._budget: OrderedDict[object, tuple[float, datetime]] = OrderedDict()

    def put(self, note: Note) -> None:
        self._pending.append(note)
        self._wake.set()

    @property
    def idle(self) -> bool:
        return not self._pending

    async def run(self) -> None:
        """Write events, for ever. One that cannot be written (its namespace is going away) is dropped."""
        while True:
            while not self._pending:
                self._wake.clear()
                await self._wake.wait()
            note = self._combined(self._pending[0])
            try:
                if self._allowed(note):
                    await self._write(note)
            except ApiError as error:
                log.debug("event %s %s: %s", note.reason, note.message, error.message)
            self._pending.popleft()

    def _combined(self, note: Note) -> Note:
        group = (note.source, note.regarding, note.type, note.reason)
        now = self._clock.now()
        messages, since = self._similar.pop(group, (set(), now))
        if (now - since).total_seconds() > SIMILAR_SECONDS:
            messages, since = set(), now
        messages.add(note.message)
        _remember(self._similar, group, (messages, since))
        if len(messages) <= SIMILAR:
            return note
        last = next((n for n in self._written if _group(n) == group and n.message.startswith("(combined")), None)
        message = f"(combined from similar events): {note.message}"
        return last or Note(note.source, note.regarding, note.type, note.reason, message, note.action, note.version)

    def _allowed(self, note: Note) -> bool:
        spender = (note.source, note.regarding)
        now = self._clock.now()
        tokens, since = self._budget.pop(spender, (float(BURST), now))
        tokens = min(BURST, tokens + (now - since).total_seconds() / REFILL_SECONDS)
        allowed = tokens >= 1
        _remember(self._budget, spender, (tokens - 1 if allowed else tokens, now))
        return allowed

    async def _write(self, note: Note) -> None:
        known = self._written.pop(note, None)
        if known is not None:
            try:
                await self._repeat(note, known)
                return
            except NotFound:
                pass
        now = self._clock.now()
        body = new_event(note, now)
        await self._client.create(EVENTS, body, body["metadata"]["namespace"])
        _remember(self._written, note, _Written(body["metadata"]["name"], 1, now))

    async def _repeat(self, note: Note, known: _Written) -> None:
        now = self._clock.now()
        known.count += 1
        change: Object = {"count": known.count, "lastTimestamp": stamp(now)}
        if note.source.modern:
            change = {"series": {"count": known.count, "lastObservedTime": micro(now)}}
        await self._client.patch(EVENTS, known.name, change, _namespace(note), kind="merge")
        _remember(self._written, note, known)


class Recorder:
    """The events of one component about objects."""

    def __init__(self, events: Events, source: Source) -> None:
        self._events = events
        self._source = source

    def event(
        self,
        resource: str,
        obj: Object,
        kind: Literal["Normal", "Warning"],
        reason: str,
        message: str,
        *,
        action: str = "",
    ) -> None:
        """Report something about `obj`, an object of `resource`. Returns at once."""
        metadata = obj["metadata"]
        regarding = type_of(resource) | {
            name: metadata[name] for name in ("namespace", "name", "uid") if metadata.get(name)
        }
        version = metadata.get("resourceVersion", "")
        self._events.put(Note(self._source, tuple(regarding.items()), kind, reason, message, action, version))


def new_event(note: Note, now: datetime) -> Object:
    """The Event for a first occurrence."""
    regarding = dict(note.regarding) | ({"resourceVersion": note.version} if note.version else {})
    body: Object = type_of(EVENTS) | {
        "metadata": {"name": f"{regarding['name']}.{time_ns(now):x}", "namespace": _namespace(note)},
        "involvedObject": regarding,
        "type": note.type,
        "reason": note.reason,
        "message": note.message[:1024],
        "reportingComponent": note.source.component,
    }
    if note.source.modern:
        host = f"{note.source.component}-{note.source.host}"
        return body | {"eventTime": micro(now), "action": note.action, "reportingInstance": host, "source": {}}
    source = {"component": note.source.component} | ({"host": note.source.host} if note.source.host else {})
    seen = {"firstTimestamp": stamp(now), "lastTimestamp": stamp(now), "count": 1}
    return body | seen | {"reportingInstance": note.source.host, "source": source}


_last_ns = 0


def time_ns(now: datetime) -> int:
    """Nanoseconds since the epoch that never repeat in this process: they make event names unique."""
    global _last_ns
    _last_ns = max(_last_ns + 1, int(now.timestamp() * 1_000_000) * 1000)
    return _last_ns


def _group(note: Note) -> object:
    return (note.source, note.regarding, note.type, note.reason)


def _namespace(note: Note) -> str:
    return dict(note.regarding).get("namespace") or "default"


def _remember(table: OrderedDict[K, V], key: K, value: V) -> None:
    table[key] = value
    while len(table) > REMEMBERED:
        table.popitem(last=False)
