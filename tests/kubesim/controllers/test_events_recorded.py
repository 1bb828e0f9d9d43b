"""Events: counted, combined and limited as client-go does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kubesim.client import Client
from kubesim.controllers.kinds import CONFIG_MAPS, EVENTS
from kubesim.controllers.recorder import BURST, REFILL_SECONDS, Events, Recorder, Source
from kubesim.resources import Object
from kubesim.server import Cluster
from tests.kubesim.controllers.world import Hands


class Desk:
    """A recorder at work on a real API."""

    def __init__(self, client: Client, *, modern: bool = False) -> None:
        self.client = client
        self.clock = Hands()
        self.events = Events(client, self.clock)
        self.recorder = Recorder(self.events, Source("tester", "host" if modern else "", modern))

    async def written(self) -> list[Object]:
        while not self.events.idle:  # noqa: ASYNC110  a turn of the loop, no waiting
            await asyncio.sleep(0)
        return (await self.client.list(EVENTS, "default")).items


@pytest.fixture
async def desk(cluster: Cluster) -> AsyncIterator[Desk]:
    made = Desk(cluster.client())
    task = asyncio.create_task(made.events.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


THING = {"metadata": {"namespace": "default", "name": "thing", "uid": "u1", "resourceVersion": "7"}}


async def test_an_event_says_who_what_and_when(desk: Desk) -> None:
    desk.recorder.event(CONFIG_MAPS, THING, "Normal", "Made", "Made it")
    (event,) = await desk.written()
    assert event["involvedObject"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "namespace": "default",
        "name": "thing",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert (event["type"], event["reason"], event["message"], event["count"]) == ("Normal", "Made", "Made it", 1)
    assert event["source"] == {"component": "tester"}
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert event["metadata"]["name"].startswith("thing.")


async def test_the_same_again_is_counted(desk: Desk) -> None:
    for _ in range(3):
        desk.recorder.event(CONFIG_MAPS, THING, "Normal", "Made", "Made it")
        desk.clock.advance(1)
        await desk.written()
    (event,) = await desk.written()
    assert event["count"] == 3
    assert event["firstTimestamp"] < event["lastTimestamp"]


async def test_many_different_messages_are_combined(desk: Desk) -> None:
    for number in range(14):
        desk.recorder.event(CONFIG_MAPS, THING, "Normal", "Made", f"Made {number}")
    found = await desk.written()
    combined = [e for e in found if e["message"].startswith("(combined from similar events): ")]
    assert len(found) == 11
    assert [e["count"] for e in combined] == [4]


async def test_one_object_cannot_flood(desk: Desk) -> None:
    for number in range(BURST + 10):
        desk.recorder.event(CONFIG_MAPS, THING, "Normal", f"Reason{number}", "x")
    assert len(await desk.written()) == BURST
    desk.clock.advance(REFILL_SECONDS)
    desk.recorder.event(CONFIG_MAPS, THING, "Normal", "Later", "x")
    assert len(await desk.written()) == BURST + 1


async def test_the_scheduler_s_events_have_an_event_time(cluster: Cluster) -> None:
    desk = Desk(cluster.client(), modern=True)
    task = asyncio.create_task(desk.events.run())
    desk.recorder.event(CONFIG_MAPS, THING, "Normal", "Scheduled", "Successfully assigned", action="Binding")
    (event,) = await desk.written()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert event["action"] == "Binding"
    assert event["eventTime"].endswith("Z")
    assert (event["reportingComponent"], event["reportingInstance"]) == ("tester", "tester-host")
    assert "count" not in event


async def test_an_event_about_a_missing_namespace_is_dropped(desk: Desk) -> None:
    lost = {"metadata": {"namespace": "nowhere", "name": "thing", "uid": "u2"}}
    desk.recorder.event(CONFIG_MAPS, lost, "Normal", "Made", "Made it")
    desk.recorder.event(CONFIG_MAPS, THING, "Normal", "Made", "Made it")
    assert len(await desk.written()) == 1
