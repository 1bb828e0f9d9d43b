"""Watches: what a list left off, change by change.

A watcher keeps a position in the kind's history, not a queue: a slow client costs no memory, and one that falls behind what the history
holds gets 410 Expired and lists again. With a selector, an object that begins to match is ADDED and one that ceases to is DELETED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from kubesim.api import convert
from kubesim.errors import Expired
from kubesim.resources import Resource
from kubesim.selectors import ANY, EVERYTHING, FieldSelector, LabelSelector
from kubesim.store import Action, Change, Compacted, Record, Store


@dataclass(frozen=True)
class Scope:
    """The objects of a kind that one caller looks at."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    labels: LabelSelector = EVERYTHING
    fields: FieldSelector = ANY

    @property
    def kind(self) -> str:
        return self.resource.storage

    @property
    def selective(self) -> bool:
        return not self.labels.empty or bool(self.fields.terms)

    def matches(self, record: Record) -> bool:
        return self.holds(record) and (not self.selective or self.selects(record))

    def holds(self, record: Record) -> bool:
        return (not self.namespace or record.namespace == self.namespace) and (
            not self.name or record.name == self.name
        )

    def selects(self, record: Record) -> bool:
        if not self.labels.matches(record.object["metadata"].get("labels")):
            return False
        return not self.fields.terms or self.fields.matches(convert.to_version(self.resource, record.object))


@dataclass(frozen=True, slots=True)
class Seen:
    """A change as this watcher sees it."""

    type: Action
    record: Record


async def follow(
    store: Store, scope: Scope, since: int, *, idle: Callable[[], float | None] = lambda: None
) -> AsyncIterator[list[Seen]]:
    """Batches of changes after `since`, for ever. `idle` says how long to wait for one; after that time an empty batch comes."""
    changed = asyncio.Event()
    with store.listening(scope.kind, changed.set):
        while True:
            changed.clear()
            since, seen = news(store, scope, since)
            if seen:
                yield seen
            elif not await _set(changed, idle()):
                yield []


async def _set(event: asyncio.Event, seconds: float | None) -> bool:
    """Waits for it; whether it came in time."""
    if seconds is None:
        return await event.wait()
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def news(store: Store, scope: Scope, since: int) -> tuple[int, list[Seen]]:
    """What happened after `since`, and up to which revision that is. Raises Expired where the history does not reach back so far."""
    reached = store.revision
    try:
        changes = store.changes(scope.kind, since)
    except Compacted as old:
        raise Expired(f"too old resource version: {old}") from None
    return max(since, reached), [event for change in changes if (event := see(scope, change)) is not None]


def see(scope: Scope, change: Change) -> Seen | None:
    """The change through the eyes of a scope; None where it is not seen at all."""
    if not scope.holds(change.record):
        return None
    if not scope.selective:
        return Seen(change.action, change.record)
    before = change.previous is not None and scope.selects(change.previous)
    after = change.action != "DELETED" and scope.selects(change.record)
    if after:
        return Seen("MODIFIED" if before else "ADDED", change.record)
    return Seen("DELETED", change.record) if before else None
