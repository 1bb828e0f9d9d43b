"""GET ?watch=1: changes as JSON lines, until the client goes or its timeout comes.

A change is pushed: in the turn of the loop after the write, every watcher's lines are joined from the bytes the store holds and handed to its
connection, without waking a task for each. A watcher's own task has only what takes time: the end, bookmarks, and a client that is
behind. Nothing is pushed to that one until it has taken what it was sent; then it gets the rest from the history, from where it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from kubesim.api import convert, render, tabling
from kubesim.api.request import Request, Response, Sink, integer
from kubesim.api.scopes import scope
from kubesim.api.watching import Scope, Seen, news
from kubesim.errors import BadRequest, Cause, Expired, Invalid
from kubesim.resources import Object, Resource
from kubesim.store import Record, Store

if TYPE_CHECKING:
    from kubesim.api.app import Server

BOOKMARK_EVERY = 60.0
TIMEOUT = 1800
"""Seconds a watch lasts where the client names no time; clients resume it."""

INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class Wish:
    """What the query of a watch asks for. `since` 0 begins with what is there."""

    since: int
    timeout: float
    bookmarks: bool
    initial: bool


def wish(request: Request) -> Wish:
    query = request.query
    initial = query.get("sendInitialEvents", "")
    match = query.get("resourceVersionMatch", "")
    if initial and match != "NotOlderThan":
        raise _invalid(
            "resourceVersionMatch", "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    if match and not initial:
        raise _invalid(
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )
    return Wish(
        since=version(query.get("resourceVersion", "")),
        timeout=integer(query, "timeoutSeconds") or TIMEOUT,
        bookmarks=truth(query.get("allowWatchBookmarks", "")),
        initial=truth(initial),
    )


def _invalid(field: str, message: str) -> Invalid:
    details = {"group": "meta.k8s.io", "kind": "ListOptions"}
    return Invalid(
        f'ListOptions.meta.k8s.io "" is invalid: {field}: {message}',
        details=details,
        causes=[Cause("FieldValueForbidden", message, field)],
    )


def truth(text: str) -> bool:
    return text.lower() in ("true", "1")


def version(text: str) -> int:
    if (text and not text.isdigit()) or len(text) > 19:
        raise BadRequest(f'Invalid value: "{text[:40]}": strconv.ParseUint: parsing "{text[:40]}": invalid syntax')
    return int(text or 0)


async def watch(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    encoder = Encoder(resource, form, server.tabler, request.query.get("includeObject", "Metadata"))
    wanted, asked = scope(request, resource), wish(request)
    return Response(200, feed=lambda sink: Watch(server.store, wanted, asked, encoder, sink).run())


class Watch:
    """One client's watch: a position in the kind's history, and the connection that is to get what comes after it."""

    def __init__(self, store: Store, wanted: Scope, asked: Wish, encoder: Encoder, sink: Sink) -> None:
        self._store, self._wanted, self._asked, self._encoder, self._sink = store, wanted, asked, encoder, sink
        self._since = asked.since
        self._told = time.monotonic()
        self._stirred = asyncio.Event()

    async def run(self) -> None:
        """Until the time is up or the history no longer reaches back to where this watch is."""
        try:
            async with asyncio.timeout(self._asked.timeout):
                with self._store.listening(self._wanted.kind, self._changed):
                    self._begin()
                    await self._attend()
        except TimeoutError:
            return
        except Expired as error:
            self._sink.send(orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n")

    def _begin(self) -> None:
        asked, store = self._asked, self._store
        if asked.since and not asked.initial:
            return
        self._since = store.revision
        found = [
            record for record in store.list(self._wanted.kind, self._wanted.namespace) if self._wanted.matches(record)
        ]
        self._send(self._encoder.events([Seen("ADDED", record) for record in found]))
        if asked.initial and asked.bookmarks:
            self._send(self._encoder.bookmark(self._since, initial=True))

    async def _attend(self) -> None:
        while True:
            await self._sink.drain()
            self._push()
            if self._asked.bookmarks and time.monotonic() >= self._told + BOOKMARK_EVERY:
                self._send(self._encoder.bookmark(self._since))
            await self._quiet()

    async def _quiet(self) -> None:
        """Until `_changed` wants help, or a bookmark is due."""
        due = self._told + BOOKMARK_EVERY - time.monotonic() if self._asked.bookmarks else None
        try:
            async with asyncio.timeout(due):
                await self._stirred.wait()
        except TimeoutError:
            pass
        self._stirred.clear()

    def _changed(self) -> None:
        """Told by the store. Must not raise: what `_push` raises here, it raises again in `_attend`."""
        if self._sink.behind:
            self._stirred.set()
            return
        try:
            self._push()
        except Expired:
            self._stirred.set()

    def _push(self) -> None:
        self._since, seen = news(self._store, self._wanted, self._since)
        if seen:
            self._send(self._encoder.events(seen))

    def _send(self, data: bytes) -> None:
        self._sink.send(data)
        self._told = time.monotonic()


class Encoder:
    """Events of one watch as JSON lines."""

    def __init__(self, resource: Resource, form: render.Form, tabler: tabling.Tabler, include: str) -> None:
        self._resource, self._form, self._tabler, self._include, self._headed = resource, form, tabler, include, True

    def events(self, batch: Sequence[Seen]) -> bytes:
        return b"".join(
            [b'{"type":"%b","object":%b}\n' % (seen.type.encode(), self._object(seen.record)) for seen in batch]
        )

    def _object(self, record: Record) -> bytes:
        if not self._form.kind:
            return render.encoded(self._resource, record)
        obj = convert.to_version(self._resource, record.object)
        if self._form.kind != "Table":
            return orjson.dumps(render.partial(obj))
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        table = self._tabler.table(self._resource, [obj], metadata, include=self._include, headed=self._headed)
        self._headed = False
        return orjson.dumps(table)

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        metadata: Object = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {INITIAL_END: "true"}
        obj: Object = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        if self._form.kind == "Table":
            row = {
                "cells": [],
                "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata},
            }
            obj = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": [],
                "rows": [row],
            }
        elif self._form.kind:
            obj = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"
