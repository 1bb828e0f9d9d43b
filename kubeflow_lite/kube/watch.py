"""Following objects, whatever happens to the connection: a list, a watch from its resourceVersion, and a new list when the watch ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kubeflow_lite.errors import Gone, KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, metadata, name, namespace

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between attempts while the API server does not answer."""


@dataclass(frozen=True)
class Event:
    """ADDED, MODIFIED or DELETED; None for an object found by listing."""

    type: str | None
    object: Object


async def events(client: Client, resource: str, *, labels: str = "") -> AsyncIterator[Event]:
    """Every object with these labels in all namespaces, then every change, for ever.

    Changes may be left out when the connection is lost, the last state never is, and a deletion neither: an object that a new list does not
    have any more is told as DELETED, with what identified it.
    """
    known: dict[tuple[str, str], Object] = {}
    while True:
        try:
            page = await client.list(resource, labels=labels)
            present = {_key(item): _identity(item) for item in page.items}
            gone = [known[key] for key in known.keys() - present.keys()]
            known = present
            for item in gone:
                yield Event("DELETED", item)
            for item in page.items:
                yield Event(None, item)
            async for raw in client.watch(resource, resource_version=page.resource_version, labels=labels):
                event = Event(raw["type"], raw["object"])
                if event.type == "BOOKMARK":
                    continue
                if event.type == "DELETED":
                    known.pop(_key(event.object), None)
                else:
                    known[_key(event.object)] = _identity(event.object)
                yield event
        except Gone:
            log.debug("%s: the watch is too old, listing again", resource)
        except KubeflowError as error:
            log.warning("watching %s: %s", resource, error)
            await asyncio.sleep(PAUSE)


async def follow(client: Client, resource: str, name: str, namespace: str = "") -> AsyncIterator[Object | None]:
    """One object as it is now, then after every change; None while there is none. States may be left out, the latest never is."""
    only = f"metadata.name={name}" + (f",metadata.namespace={namespace}" if namespace else "")
    while True:
        try:
            page = await client.list(resource, fields=only)
            yield page.items[0] if page.items else None
            async for event in client.watch(resource, resource_version=page.resource_version, fields=only):
                if event["type"] != "BOOKMARK":
                    yield None if event["type"] == "DELETED" else event["object"]
        except KubeflowError as error:
            log.warning("following %s %s: %s", resource, name, error)
            await asyncio.sleep(PAUSE)


def _identity(obj: Object) -> Object:
    """So much of an object as says whose it is; the rest would only take memory."""
    kept = ("name", "namespace", "uid", "labels", "ownerReferences")
    return {"metadata": {key: value for key, value in metadata(obj).items() if key in kept}}


def _key(obj: Object) -> tuple[str, str]:
    return namespace(obj), name(obj)
