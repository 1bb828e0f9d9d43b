"""The part of the cluster that the pages show, kept up to date by watches, by kind and namespace.

Readers take a revision and wait for a later one, so that no change is lost between looking and waiting. Objects are shared: nobody changes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubeflow_lite.errors import Gone, KubeflowError, NotFound
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, metadata, name, namespace

log = logging.getLogger(__name__)

PAUSE = 1.0
ABSENT = 5.0
"""Seconds until a kind that the cluster does not serve is asked for again."""


@dataclass(frozen=True)
class Source:
    """What to follow: a resource, maybe in one namespace only, maybe with labels."""

    resource: str
    namespace: str = ""
    labels: str = ""


class Mirror:
    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._objects: dict[str, dict[str, dict[str, Object]]] = {kind: defaultdict(dict) for kind in sources}
        self._unlisted = set(sources)
        self._listed = asyncio.Event()
        self._turn = asyncio.Event()
        self.revision = 0

    async def run(self, client: Client) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for kind, source in self._sources.items():
                tasks.create_task(self._follow(client, kind, source))

    async def listed(self) -> None:
        """Until every kind was listed once."""
        await self._listed.wait()

    async def changed(self, after: int) -> int:
        """Waits for a revision later than `after`, and gives it."""
        while self.revision <= after:
            await self._turn.wait()
        return self.revision

    def bump(self) -> None:
        """Something that readers show has changed."""
        self.revision += 1
        self._turn.set()
        self._turn = asyncio.Event()

    def all(self, kind: str) -> list[Object]:
        return [item for items in self._objects[kind].values() for item in items.values()]

    def within(self, kind: str, where: str) -> Sequence[Object]:
        return list(self._objects[kind].get(where, {}).values())

    def get(self, kind: str, where: str, wanted: str) -> Object | None:
        return self._objects[kind].get(where, {}).get(wanted)

    def put(self, kind: str, item: Object, *, gone: bool = False) -> None:
        """Take one object in, or out."""
        meta = {key: value for key, value in metadata(item).items() if key != "managedFields"}
        known = self._objects[kind][namespace(item)]
        if gone:
            known.pop(name(item), None)
        else:
            known[name(item)] = {**item, "metadata": meta}
        self.bump()

    def replace(self, kind: str, items: Sequence[Object]) -> None:
        """A new list: what it does not have is gone."""
        self._objects[kind] = defaultdict(dict)
        for item in items:
            self.put(kind, item)
        self._unlisted.discard(kind)
        if not self._unlisted:
            self._listed.set()
        self.bump()

    async def _follow(self, client: Client, kind: str, source: Source) -> None:
        while True:
            try:
                page = await client.list(source.resource, source.namespace, labels=source.labels)
                self.replace(kind, page.items)
                await self._watch(client, kind, source, page.resource_version)
            except NotFound:
                self.replace(kind, ())
                await asyncio.sleep(ABSENT)
            except Gone:
                log.debug("%s: the watch is too old, listing again", source.resource)
            except KubeflowError as error:
                log.warning("watching %s: %s", source.resource, error)
                await asyncio.sleep(PAUSE)

    async def _watch(self, client: Client, kind: str, source: Source, version: str) -> None:
        stream = client.watch(source.resource, source.namespace, resource_version=version, labels=source.labels)
        async for event in stream:
            if event["type"] != "BOOKMARK":
                self.put(kind, event["object"], gone=event["type"] == "DELETED")
