"""The central dashboard as a program: reads the cluster with its service account, at most once a second, and shows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from kubeflow_lite.dashboard.view import Cluster, view
from kubeflow_lite.errors import KubeflowError, NotFound
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.objects import Object
from kubeflow_lite.web import pages, serve
from kubeflow_lite.web.recent import Recent

log = logging.getLogger(__name__)

_READ = {
    "profiles": "kubeflow.org/v1/profiles",
    "nodes": "v1/nodes",
    "pods": "v1/pods",
    "quotas": "v1/resourcequotas",
    "deployments": "apps/v1/deployments",
    "notebooks": "kubeflow.org/v1/notebooks",
    "events": "v1/events",
}
SECONDS = 1.0


async def read(client: Client) -> Cluster:
    """Everything the page is made of, read side by side. A kind that the cluster does not serve (yet) has no objects."""
    lists = await asyncio.gather(*(_list(client, resource) for resource in _READ.values()))
    return Cluster(**dict(zip(_READ, lists, strict=True)))


async def _list(client: Client, resource: str) -> list[Object]:
    try:
        return (await client.list(resource)).items
    except NotFound:
        return []


async def run(access: Access, environment: Mapping[str, str], *, address: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with Client(access) as client:
        cluster = Recent(lambda: read(client), SECONDS)

        async def variables() -> dict[str, object]:
            try:
                now = view(await cluster.get(), at=datetime.now(UTC))
            except KubeflowError as error:
                log.warning("cannot read the cluster: %s", error)
                raise pages.Unavailable("the cluster does not answer; the page will be back when it does") from error
            return {"title": "MLOps lab", "subtitle": "central dashboard", "view": now}

        hosts = pages.hosts(environment)
        await serve.until_stopped(pages.application("dashboard.html", variables, hosts=hosts), address, port)
