"""The central dashboard as a program: watches the cluster with its service account and serves the pages.

TRAINING_NAMESPACE, SERVING_NAMESPACE and MLFLOW_TRACKING_URI name the shared parts of the lab.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from kubeflow_lite.dashboard.app import Dashboard, settle
from kubeflow_lite.dashboard.mirror import Mirror, Source
from kubeflow_lite.dashboard.notebook import Door, Passes
from kubeflow_lite.dashboard.panels import Panels
from kubeflow_lite.dashboard.reports import KIND
from kubeflow_lite.dashboard.sampler import Sampler
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.web import pages, serve
from kubeflow_lite.web.reviews import Reviews

SYSTEM = "kubeflow"
ACCOUNT = "centraldashboard"


def sources(serving: str) -> dict[str, Source]:
    return {
        "profiles": Source("kubeflow.org/v1/profiles"),
        "notebooks": Source("kubeflow.org/v1/notebooks"),
        "nodes": Source("v1/nodes"),
        "pods": Source("v1/pods"),
        "quotas": Source("v1/resourcequotas"),
        "events": Source("v1/events"),
        "deployments": Source("apps/v1/deployments"),
        "jobs": Source("batch/v1/jobs", labels="app=iris-training"),
        "scalers": Source("autoscaling/v2/horizontalpodautoscalers", serving),
        "told": Source("v1/configmaps", SYSTEM, labels=KIND),
        "leases": Source("coordination.k8s.io/v1/leases", SYSTEM),
    }


async def run(access: Access, environment: Mapping[str, str], *, address: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    shared = environment.get("TRAINING_NAMESPACE", "mlops-training")
    serving = environment.get("SERVING_NAMESPACE", "mlops-serving")
    tracking = environment.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    mirror = Mirror(sources(serving))
    async with Client(access) as client, Door(Passes(client, namespace=SYSTEM, account=ACCOUNT)) as door:
        sampler = Sampler(client, mirror, serving=serving, tracking=tracking)
        panels = Panels(mirror, sampler, shared=shared, serving=serving, system=SYSTEM)
        dashboard = Dashboard(client, mirror, sampler, panels, Reviews(client), door, SYSTEM)
        work = [asyncio.create_task(mirror.run(client)), asyncio.create_task(sampler.run())]
        try:
            await asyncio.gather(settle(mirror), asyncio.to_thread(pages.compile_all))
            await serve.until_stopped(dashboard.application(pages.hosts(environment)), address, port)
        finally:
            await serve.end(work)
