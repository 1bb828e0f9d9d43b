"""GET ?watch=1: changes as JSON lines, until the client goes or its timeout comes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from kubesim.api import convert, render, tabling
from kubesim.api.request import Request, Response, integer
from kubesim.api.scopes import scope
from kubesim.api.watching import Scope, Seen, follow
from kubesim.errors import BadRequest, Cause, Expired, Invalid
from kubesim.resources import Object, Resource
from kubesim.store import Record

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
    return Response(200, stream(server, scope(request, resource), wish(request), encoder))


async def stream(server: Server, wanted: Scope, asked: Wish, encoder: Encoder) -> AsyncIterator[bytes]:
    store, since = server.store, asked.since
    end = time.monotonic() + asked.timeout
    if not since or asked.initial:
        since = store.revision
        found = [record for record in store.list(wanted.kind, wanted.namespace) if wanted.matches(record)]
        yield encoder.events([Seen("ADDED", record) for record in found])
        if asked.initial and asked.bookmarks:
            yield encoder.bookmark(since, initial=True)
    else:
        yield b""  # sends the headers: a client waits for them before it trusts the watch
    told = time.monotonic()

    def idle() -> float:
        now = time.monotonic()
        return max(0.0, min(end - now, told + BOOKMARK_EVERY - now if asked.bookmarks else end - now))

    try:
        async for batch in follow(store, wanted, since, idle=idle):
            if batch:
                yield encoder.events(batch)
                told = time.monotonic()
            elif asked.bookmarks:
                yield encoder.bookmark(store.revision)
                told = time.monotonic()
            if time.monotonic() >= end:
                return
    except Expired as error:
        yield orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n"


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
