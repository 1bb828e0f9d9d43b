"""ml-pipeline-ui as a program. MLFLOW_TRACKING_URI names the shared server, TRAINING_NAMESPACE where shared training Jobs are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp

from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.objects import Object
from kubeflow_lite.pipelines.mlflow import Run, TrackingError, recent_runs
from kubeflow_lite.pipelines.view import View, view
from kubeflow_lite.web import pages, serve
from kubeflow_lite.web.recent import Recent

log = logging.getLogger(__name__)

SELECTOR = "app=iris-training"
SECONDS = 1.0


async def run(access: Access, environment: Mapping[str, str], *, address: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    shared = environment.get("TRAINING_NAMESPACE", "mlops-training")
    uri = environment.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    async with Client(access) as client, aiohttp.ClientSession() as session:
        recent = Recent(lambda: _read(client, session, uri, shared), SECONDS)

        async def variables() -> dict[str, object]:
            try:
                return {"title": "Pipelines", "subtitle": "training Jobs and runs", "view": await recent.get()}
            except KubeflowError as error:
                log.warning("cannot read the cluster: %s", error)
                raise pages.Unavailable("the cluster does not answer; the page will be back when it does") from error

        hosts = pages.hosts(environment)
        await serve.until_stopped(pages.application("pipelines.html", variables, hosts=hosts), address, port)


async def _read(client: Client, session: aiohttp.ClientSession, uri: str, shared: str) -> View:
    jobs, (runs, problem) = await asyncio.gather(_jobs(client, shared), _runs(session, uri))
    return view(jobs, runs, at=datetime.now(UTC), problem=problem)


async def _jobs(client: Client, shared: str) -> list[Object]:
    """The shared ones alone: this page asks nobody who they are. A tenant's own Jobs and runs are on its page of the dashboard."""
    return (await client.list("batch/v1/jobs", shared, labels=SELECTOR)).items


async def _runs(session: aiohttp.ClientSession, uri: str) -> tuple[list[Run], str]:
    """The runs, or in words why there are none: a page of Jobs is worth having while MLflow is down."""
    if not uri:
        return [], "no MLflow server is named (MLFLOW_TRACKING_URI)"
    try:
        return await recent_runs(session, uri), ""
    except TrackingError as error:
        return [], str(error)
