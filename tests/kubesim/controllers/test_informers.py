"""Informers: what a controller reads is current, its own writes included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kubesim.client import Event, ObjectList
from kubesim.controllers.informer import Informer, Key, outline
from kubesim.controllers.runtime import Cluster
from kubesim.errors import Expired
from kubesim.resources import Object
from tests.kubesim.controllers.world import Hands


def obj(name: str, revision: int, *, uid: str = "", owner: str = "", controller: bool = True) -> Object:
    metadata: Object = {"namespace": "n", "name": name, "uid": uid or name, "resourceVersion": str(revision)}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": controller}]
    return {"metadata": metadata}


class Script:
    """A client that lists and watches what the test says."""

    def __init__(self, *lists: ObjectList) -> None:
        self.lists = list(lists)
        self.events: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self.watched: list[str] = []

    async def list(self, resource: str) -> ObjectList:
        return self.lists.pop(0)

    async def watch(self, resource: str, *, resource_version: str) -> AsyncIterator[Event]:
        self.watched.append(resource_version)
        while True:
            event = await self.events.get()
            if isinstance(event, Exception):
                raise event
            yield event


class Running:
    """An informer at work on a script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.informer = Informer(script, "v1/things", Hands())  # type: ignore[arg-type]
        self.seen: list[tuple[str, str]] = []
        self.informer.on(self._note)

    def _note(self, old: Object | None, new: Object | None) -> None:
        kind = "added" if old is None else "deleted" if new is None else "changed"
        self.seen.append((kind, (new or old or {})["metadata"]["name"]))

    async def __aenter__(self) -> Running:
        self.task = asyncio.create_task(self.informer.run())
        await self.informer.synced.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def tell(self, *events: Event | Exception) -> None:
        for event in events:
            self.script.events.put_nowait(event)
        while not self.script.events.empty():  # noqa: ASYNC110  a turn of the loop, no waiting
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)

    def names(self) -> list[str]:
        return sorted(o["metadata"]["name"] for o in self.informer.items())


async def test_list_then_watch() -> None:
    async with Running(Script(ObjectList([obj("a", 3)], "5"))) as running:
        await running.tell(Event("ADDED", obj("b", 6)), Event("MODIFIED", obj("a", 7)), Event("DELETED", obj("b", 8)))
        assert running.names() == ["a"]
        assert running.seen == [("added", "a"), ("added", "b"), ("changed", "a"), ("deleted", "b")]
        assert running.script.watched == ["5"]


async def test_expired_lists_again_and_reports_what_vanished() -> None:
    script = Script(ObjectList([obj("a", 1), obj("b", 2)], "5"), ObjectList([obj("b", 2), obj("c", 9)], "10"))
    async with Running(script) as running:
        await running.tell(Expired("too old resource version"))
        assert running.names() == ["b", "c"]
        assert running.seen[2:] == [("deleted", "a"), ("added", "c")]
        assert script.watched == ["5", "10"]


async def test_own_writes_are_seen_at_once_and_not_undone_by_older_events() -> None:
    async with Running(Script(ObjectList([obj("a", 1)], "5"))) as running:
        running.informer.observe(obj("a", 8))
        running.informer.observe(obj("n", 9))
        await running.tell(Event("MODIFIED", obj("a", 6)))
        assert running.informer.get("n", "a") == obj("a", 8)
        assert running.names() == ["a", "n"]
        await running.tell(Event("MODIFIED", obj("a", 8)), Event("ADDED", obj("n", 9)))
        assert running.seen == [("added", "a"), ("changed", "a"), ("added", "n")]


async def test_an_answer_the_watch_is_past_does_not_bring_an_object_back() -> None:
    async with Running(Script(ObjectList([], "5"))) as running:
        await running.tell(Event("ADDED", obj("a", 6)), Event("DELETED", obj("a", 7)))
        running.informer.observe(obj("a", 6))
        assert running.names() == []


async def test_a_deleted_object_stays_deleted_until_its_event_has_come() -> None:
    async with Running(Script(ObjectList([obj("a", 1)], "5"))) as running:
        running.informer.forget("a", Key("n", "a"))
        await running.tell(Event("MODIFIED", obj("a", 6)))
        assert running.names() == []
        await running.tell(Event("DELETED", obj("a", 7)), Event("ADDED", obj("a", 8, uid="a2")))
        assert running.names() == ["a"]


async def test_a_new_incarnation_is_a_deletion_and_an_addition() -> None:
    async with Running(Script(ObjectList([obj("a", 1)], "5"))) as running:
        running.informer.observe(obj("a", 9, uid="other"))
        assert running.seen == [("added", "a"), ("deleted", "a"), ("added", "a")]


async def test_owner_indexes_follow_changes() -> None:
    script = Script(ObjectList([obj("a", 1, owner="x"), obj("b", 2), obj("c", 3, owner="x", controller=False)], "5"))
    async with Running(script) as running:
        informer = running.informer

        def names(found: list[Object]) -> list[str]:
            return sorted(o["metadata"]["name"] for o in found)

        assert names(informer.owned("x")) == ["a", "c"]
        assert names(informer.controlled("x")) == ["a"]
        assert names(informer.orphans("n")) == ["b", "c"]
        await running.tell(Event("MODIFIED", obj("a", 6)), Event("MODIFIED", obj("b", 7, owner="x")))
        assert names(informer.controlled("x")) == ["b"]
        assert names(informer.orphans("n")) == ["a", "c"]


async def test_an_outline_has_names_and_owners_and_nothing_else() -> None:
    whole = obj("a", 1, owner="o")
    whole["data"] = {"large": "x" * 100}
    whole["metadata"] |= {"managedFields": [{}], "labels": {"a": "b"}}
    script = Script(ObjectList([whole], "1"))
    informer = Informer(script, "v1/things", Hands(), keep=outline)  # type: ignore[arg-type]
    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    assert informer.get("n", "a") == obj("a", 1, owner="o")
    assert [found["metadata"]["name"] for found in informer.owned("o")] == ["a"]
    task.cancel()


def test_whole_objects_are_asked_for_before_outlines() -> None:
    cluster = Cluster(Script(), Hands())  # type: ignore[arg-type]
    first = cluster.informer("v1/things")
    assert cluster.informer("v1/things", keep=outline) is first, "who needs less is content with more"
    cluster.informer("v1/others", keep=outline)
    with pytest.raises(LookupError, match="v1/others is followed in outline"):
        cluster.informer("v1/others")
