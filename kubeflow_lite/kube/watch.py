"""Following one object, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between attempts while the API server does not answer."""


async def follow(client: Client, resource: str, name: str, namespace: str = "") -> AsyncIterator[Object | None]:
    """An object as it is now, then after every change; None while there is none.

    States may be left out, the latest never is: a list and a watch from its resourceVersion, and a new list when the watch ends for
    whatever reason.
    """
    only = f"metadata.name={name}" + (f",metadata.namespace={namespace}" if namespace else "")
    while True:
        try:
            page = await client.list(resource, fields=only)
            yield page.items[0] if page.items else None
            async for event in client.watch(resource, resource_version=page.resource_version, fields=only):
                if event["type"] != "BOOKMARK":
                    yield None if event["type"] == "DELETED" else event["object"]
        except KubeflowError as error:
            log.info("following %s %s: %s", resource, name, error)
            await asyncio.sleep(PAUSE)
