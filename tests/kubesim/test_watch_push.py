"""Watches are pushed to: what slow clients, gone clients and old positions make of that."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from kubesim import store as stores
from kubesim.api import watches
from kubesim.server import Cluster
from tests.kubesim.conftest import Http, config_map

BASE = "/api/v1/namespaces/default/configmaps"
KEY = "v1/configmaps"
LARGE = {"x": "x" * 100_000}


async def event(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    line = bytearray()
    async with asyncio.timeout(10):
        while not line.endswith(b"\n"):
            line += await stream.content.readany() if len(line) > 1000 else await stream.content.read(1)
    found: dict[str, Any] = orjson.loads(line)
    return found


async def lines(stream: aiohttp.ClientResponse, count: int) -> list[dict[str, Any]]:
    """The next events, however they come in pieces."""
    data = b""
    async with asyncio.timeout(30):
        while data.count(b"\n") < count:
            data += await stream.content.readany()
    return [orjson.loads(line) for line in data.splitlines()]


def listening(cluster: Cluster) -> int:
    return len(cluster.server.store._held("configmaps").listeners)


async def test_a_client_that_reads_late_gets_everything_in_order(cluster: Cluster, http: Http) -> None:
    client = cluster.client()
    stream = await http.watch(f"{BASE}?watch=1&resourceVersion={cluster.server.store.revision}")
    for number in range(150):  # 15 MB, more than any buffer on the way holds
        await client.create(KEY, config_map(f"m{number}", LARGE), "default")
        await asyncio.sleep(0)
    small = await http.watch(f"{BASE}?watch=1&resourceVersion={cluster.server.store.revision}")
    await client.create(KEY, config_map("last"), "default")
    assert (await event(small))["object"]["metadata"]["name"] == "last", "others do not wait for the slow one"
    found = await lines(stream, 151)
    assert [each["object"]["metadata"]["name"] for each in found] == [*(f"m{n}" for n in range(150)), "last"]
    assert {each["type"] for each in found} == {"ADDED"}
    stream.close()
    small.close()


async def test_a_client_that_has_fallen_too_far_behind_is_told_to_list_again(
    cluster: Cluster, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "HISTORY", 8)
    client = cluster.client()
    stream = await http.watch(f"{BASE}?watch=1&resourceVersion={cluster.server.store.revision}")
    for number in range(200):
        await client.create(KEY, config_map(f"m{number}", LARGE), "default")
        await asyncio.sleep(0)
    data = b""
    async with asyncio.timeout(30):
        while chunk := await stream.content.readany():
            data += chunk
    *before, last = [orjson.loads(line) for line in data.splitlines()]
    assert [each["object"]["metadata"]["name"] for each in before] == [f"m{n}" for n in range(len(before))], "no gap"
    assert (last["type"], last["object"]["code"], last["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_nobody_listens_for_a_client_that_has_gone(cluster: Cluster, http: Http) -> None:
    idle = listening(cluster)
    stream = await http.watch(f"{BASE}?watch=1&resourceVersion={cluster.server.store.revision}")
    assert listening(cluster) == idle + 1
    stream.close()
    async with asyncio.timeout(10):
        while listening(cluster) > idle:
            await cluster.client().create(KEY, config_map(f"m{cluster.server.store.revision}"), "default")
            await asyncio.sleep(0.01)


async def test_bookmarks_come_when_nothing_else_does(
    cluster: Cluster, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "BOOKMARK_EVERY", 0.1)
    revision = cluster.server.store.revision
    stream = await http.watch(f"{BASE}?watch=1&allowWatchBookmarks=true&resourceVersion={revision}")
    await cluster.client().create("v1/secrets", {"metadata": {"name": "other", "namespace": "default"}})
    found = await event(stream)
    while int(found["object"]["metadata"]["resourceVersion"]) == revision:
        found = await event(stream)
    assert found["type"] == "BOOKMARK"
    assert found["object"]["metadata"] == {"resourceVersion": str(revision + 1)}
    stream.close()
