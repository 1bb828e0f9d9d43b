"""Lists, pages and watches over HTTPS."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from kubesim.api.request import Request, Response
from kubesim.server import Cluster
from tests.kubesim.conftest import Http, client_context, config_map

BASE = "/api/v1/namespaces/default/configmaps"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}


async def lines(stream: aiohttp.ClientResponse, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [orjson.loads(await stream.content.readline()) for _ in range(count)]


async def test_pages(http: Http) -> None:
    for n in range(5):
        await http("POST", BASE, config_map(f"c{n}", labels={"odd": str(n % 2)}))
    first = (await http("GET", f"{BASE}?limit=2")).body
    assert [item["metadata"]["name"] for item in first["items"]] == ["c0", "c1"]
    assert first["metadata"]["remainingItemCount"] == 3
    rest = (await http("GET", f"{BASE}?limit=9&continue={first['metadata']['continue']}")).body
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c2", "c3", "c4"]
    assert "continue" not in rest["metadata"]
    odd = (await http("GET", f"{BASE}?limit=1&labelSelector=odd=1")).body
    assert [item["metadata"]["name"] for item in odd["items"]] == ["c1"]
    assert odd["metadata"]["continue"]
    assert (await http("GET", f"{BASE}?limit=1&continue=garbage")).status == 400


async def test_items_of_built_in_kinds_carry_no_kind(http: Http) -> None:
    await http("POST", BASE, config_map("one"))
    listed = (await http("GET", BASE)).body
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert set(listed["items"][0]) == {"metadata", "data"}


async def test_resource_versions_of_lists(http: Http) -> None:
    now = int((await http("GET", BASE)).body["metadata"]["resourceVersion"])
    assert (await http("GET", f"{BASE}?resourceVersion=0")).status == 200
    assert (await http("GET", f"{BASE}?resourceVersion={now}&resourceVersionMatch=Exact")).status == 200
    assert (await http("GET", f"{BASE}?resourceVersion={now + 99}")).status == 504
    assert (await http("GET", f"{BASE}?resourceVersion=x")).status == 400
    assert (await http("GET", f"{BASE}?resourceVersion=1&resourceVersionMatch=Exact")).status == 410


async def test_forms(http: Http) -> None:
    await http("POST", BASE, config_map("one"))
    table = (await http("GET", BASE, headers=TABLE)).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["one", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    partial = (await http("GET", BASE, headers=PARTIAL)).body
    assert (partial["kind"], set(partial["items"][0])) == (
        "PartialObjectMetadataList",
        {"kind", "apiVersion", "metadata"},
    )


async def test_long_answers_are_compressed(http: Http) -> None:
    for n in range(3):
        await http("POST", BASE, config_map(f"c{n}", {"big": "x" * 100_000}))
    answer = await http("GET", BASE, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body["items"]) == 3


async def test_a_client_that_asks_and_does_not_read_waits(
    cluster: Cluster, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty lists of 4 MB are asked for in one breath: what nobody reads is not made."""
    for n in range(40):
        await http("POST", BASE, config_map(f"c{n}") | {"data": {"a": "x" * 100_000}})
    handled, handle = 0, cluster.server.handle

    async def counting(request: Request) -> Response:
        nonlocal handled
        handled += request.headers.get("User-Agent") == "hasty"
        return await handle(request)

    monkeypatch.setattr(cluster.server, "handle", counting)
    context = client_context(cluster, "admin", ("system:masters",))
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.port, ssl=context, server_hostname="127.0.0.1")
    writer.write(f"GET {BASE} HTTP/1.1\r\nHost: x\r\nUser-Agent: hasty\r\n\r\n".encode() * 50)
    for n in range(100):
        await http("GET", f"{BASE}/c{n % 40}")
    assert 0 < handled < 25
    for _ in range(50):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    assert handled == 50
    writer.close()


async def test_delete_collection(http: Http) -> None:
    for n in range(4):
        await http("POST", BASE, config_map(f"c{n}", labels={"odd": str(n % 2)}))
    assert len((await http("DELETE", f"{BASE}?labelSelector=odd=1")).body["items"]) == 2
    assert [item["metadata"]["name"] for item in (await http("GET", BASE)).body["items"]] == ["c0", "c2"]


async def test_watch_continues_where_the_list_left_off(http: Http) -> None:
    version = (await http("GET", BASE)).body["metadata"]["resourceVersion"]
    await http("POST", BASE, config_map("before"))
    stream = await http.watch(f"{BASE}?watch=1&resourceVersion={version}")
    await http("DELETE", f"{BASE}/before")
    events = await lines(stream, 2)
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "before"),
        ("DELETED", "before"),
    ]
    assert (
        int(events[1]["object"]["metadata"]["resourceVersion"])
        == int(events[0]["object"]["metadata"]["resourceVersion"]) + 1
    )
    stream.close()


async def test_watch_with_a_selector_sees_objects_come_and_go(http: Http) -> None:
    version = (await http("GET", BASE)).body["metadata"]["resourceVersion"]
    stream = await http.watch(f"{BASE}?watch=1&labelSelector=w&resourceVersion={version}")
    merge = {"Content-Type": "application/merge-patch+json"}
    await http("POST", BASE, config_map("one"))
    await http("PATCH", f"{BASE}/one", {"metadata": {"labels": {"w": "1"}}}, merge)
    await http("PATCH", f"{BASE}/one", {"data": {"a": "2"}}, merge)
    await http("PATCH", f"{BASE}/one", {"metadata": {"labels": None}}, merge)
    assert [event["type"] for event in await lines(stream, 3)] == ["ADDED", "MODIFIED", "DELETED"]
    stream.close()


async def test_a_watch_ends_when_its_time_is_up(http: Http) -> None:
    async with asyncio.timeout(5):
        answer = await http("GET", f"{BASE}?watch=1&timeoutSeconds=1")
    assert (answer.status, answer.body) == (200, "")


async def test_initial_events_end_with_a_bookmark(http: Http) -> None:
    await http("POST", BASE, config_map("one"))
    query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    stream = await http.watch(f"{BASE}?{query}")
    added, bookmark = await lines(stream, 2)
    assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    stream.close()


async def test_a_watch_from_the_future_waits(http: Http) -> None:
    stream = await http.watch(f"{BASE}?watch=1&resourceVersion=999999")
    assert stream.status == 200
    stream.close()


async def test_many_watchers_see_the_same(http: Http) -> None:
    version = (await http("GET", BASE)).body["metadata"]["resourceVersion"]
    streams = [await http.watch(f"{BASE}?watch=1&resourceVersion={version}") for _ in range(10)]
    await http("POST", BASE, config_map("one"))
    seen = await asyncio.gather(*(lines(stream, 1) for stream in streams))
    assert all(events == seen[0] for events in seen)
    for stream in streams:
        stream.close()
