"""What the cluster does meanwhile: replicas and CPU as the autoscaler sees them, read once a second beside the load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import ClusterError, LabError
from lab.kube import Cluster, Object
from lab.messages import t

NAMESPACE, DEPLOYMENT, SCALER = "mlops-serving", "iris-serving", "iris-serving-hpa"


@dataclass(frozen=True)
class Look:
    """The service's workload at `time` (s since the load began). `cpu` and `target` are shares of the pods' request in percent."""

    time: float
    ready: int
    wanted: int
    low: int
    high: int
    cpu: int | None
    target: int | None


def look(cluster: Cluster, time: float) -> Look:
    """One look. Raises LabError where there is nothing to look at."""
    deployment = cluster.find("apps/v1", "Deployment", DEPLOYMENT, NAMESPACE)
    scaler = cluster.find("autoscaling/v2", "HorizontalPodAutoscaler", SCALER, NAMESPACE)
    if deployment is None or scaler is None:
        raise LabError(
            t("there is no {name} with an autoscaler in {namespace}", name=DEPLOYMENT, namespace=NAMESPACE), "./inv up"
        )
    return seen(deployment, scaler, time)


def seen(deployment: Object, scaler: Object, time: float) -> Look:
    """The figures of both objects."""
    spec, status = scaler["spec"], scaler.get("status") or {}
    current = [one["resource"]["current"] for one in status.get("currentMetrics") or [] if _is_cpu(one)]
    targets = [one["resource"]["target"] for one in spec.get("metrics") or [] if _is_cpu(one)]
    return Look(
        time=time,
        ready=deployment.get("status", {}).get("readyReplicas", 0),
        wanted=deployment["spec"].get("replicas", 1),
        low=spec.get("minReplicas", 1),
        high=spec["maxReplicas"],
        cpu=next((one.get("averageUtilization") for one in current), None),
        target=next((one.get("averageUtilization") for one in targets), None),
    )


def _is_cpu(metric: Object) -> bool:
    return metric.get("type") == "Resource" and metric["resource"]["name"] == "cpu"


async def follow(cluster: Cluster, now: Callable[[], float], looks: list[Look]) -> None:
    """Add a look a second until cancelled. An API server that does not answer for a moment leaves a gap, not an end."""
    while True:
        try:
            looks.append(await asyncio.to_thread(look, cluster, now()))
        except ClusterError:
            pass
        await asyncio.sleep(1)
