"""Following objects through lost connections, expired versions and new lists, against an API server that does as it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from kubeflow_lite import health
from kubeflow_lite.errors import Gone, NotFound, Unreachable
from kubeflow_lite.kube import watch
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.objects import Object

PODS = "v1/pods"


def thing(name: str, version: int, **metadata: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version), **metadata}}


class Script:
    """Lists and watches in the order in which they will be asked for. A watch is a list of events, or a status for the whole answer."""

    def __init__(self, lists: list[list[Object]], watches: list[list[Object] | int]) -> None:
        self.lists, self.watches = iter(lists), iter(watches)
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        return await (self._watch(request) if "watch" in request.query else self._list())

    async def _list(self) -> web.Response:
        items = next(self.lists, None)
        if items is None:
            # The script is over: the follower waits here.
            await asyncio.sleep(3600)
        return web.json_response(
            {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "10"}, "items": items}
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        events = next(self.watches)
        if isinstance(events, int):
            return web.json_response({"kind": "Status", "code": events, "message": "no"}, status=events)
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(json.dumps(event).encode() + b"\n")
        return response


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Any:
    """play(script, n) -> the first n events that `watch.events` tells."""
    monkeypatch.setattr(watch, "PAUSE", 0)

    async def run(script: Script, count: int) -> list[tuple[str | None, str]]:
        app = web.Application()
        app.router.add_get("/api/v1/pods", script.answer)
        told = []
        async with health.serving(app, "127.0.0.1", 0) as port, Client(Access(f"http://127.0.0.1:{port}")) as client:
            events = watch.events(client, PODS, labels="a=b")
            async for event in events:
                told.append((event.type, event.object["metadata"]["name"]))
                if len(told) == count:
                    break
            await events.aclose()  # type: ignore[attr-defined]
        return told

    return run


def event(kind: str, name: str, version: int) -> Object:
    return {"type": kind, "object": thing(name, version)}


async def test_the_list_then_the_watch_from_its_version(play: Any) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}}
    script = Script([[thing("a", 3)]], [[event("ADDED", "b", 11), bookmark, event("MODIFIED", "a", 13)]])
    assert await play(script, 3) == [(None, "a"), ("ADDED", "b"), ("MODIFIED", "a")]
    assert script.asked[1]["resourceVersion"] == "10"
    assert {one["labelSelector"] for one in script.asked} == {"a=b"}


async def test_what_vanished_between_two_lists_is_told_as_deleted(play: Any) -> None:
    script = Script([[thing("a", 3), thing("b", 4)], [thing("b", 4)]], [[event("ADDED", "c", 11)]])
    told = await play(script, 6)
    assert told[:3] == [(None, "a"), (None, "b"), ("ADDED", "c")]
    assert set(told[3:5]) == {("DELETED", "a"), ("DELETED", "c")}
    assert told[5:] == [(None, "b")]


async def test_a_deletion_that_was_seen_is_not_told_again(play: Any) -> None:
    script = Script([[thing("a", 3)], [thing("b", 4)]], [[event("DELETED", "a", 11)]])
    assert await play(script, 3) == [(None, "a"), ("DELETED", "a"), (None, "b")]


@pytest.mark.parametrize("status", [410, 500, 403])
async def test_a_refused_watch_is_a_new_list(play: Any, status: int) -> None:
    script = Script([[thing("a", 3)], [thing("b", 4)]], [status])
    assert await play(script, 3) == [(None, "a"), ("DELETED", "a"), (None, "b")]


async def test_an_error_event_is_a_new_list(play: Any) -> None:
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    script = Script([[thing("a", 3)], [thing("a", 9)]], [[expired]])
    assert await play(script, 2) == [(None, "a"), (None, "a")]


async def test_refusals_are_errors_of_their_kind() -> None:
    async def answer(request: web.Request) -> web.Response:
        status = int(request.match_info["status"])
        return (
            web.json_response({"reason": "R", "message": "words"}, status=status)
            if status != 500
            else web.Response(text="oops", status=500)
        )

    app = web.Application()
    app.router.add_get("/api/v1/{status}/x", answer)
    async with health.serving(app, "127.0.0.1", 0) as port, Client(Access(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(NotFound, match="words"):
            await client.get("v1/404", "x")
        with pytest.raises(Gone):
            await client.get("v1/410", "x")
        assert await client.find("v1/404", "x") is None
    async with Client(Access(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(Unreachable, match=f"GET http://127.0.0.1:{port}/api/v1/404/x"):
            await client.get("v1/404", "x")
