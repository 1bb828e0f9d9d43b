"""`invoke status`: what runs, what waits and why, as frozen values; the task prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lab import fresh, kubeconfig
from lab.errors import LabError
from lab.kube import Cluster, Object, ready
from lab.messages import mark
from lab.settings import Settings
from lab.world import World


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or Job, and None or what it lacks."""

    namespace: str
    name: str
    kind: str
    missing: str | None


@dataclass(frozen=True)
class Status:
    cluster: str
    cluster_up: bool
    aws: str
    aws_up: bool
    tenants: tuple[str, ...] = ()
    workloads: tuple[Workload, ...] = field(default=())
    urls: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        waiting = [
            w for w in self.workloads if w.missing and (w.namespace, w.name) != ("mlops-serving", "iris-serving")
        ]
        return self.cluster_up and self.aws_up and not waiting

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"good": self.good}


def status(world: World) -> Status:
    """Never raises for a lab that is down: that is what it tells."""
    cluster_up, aws_up = world.provider.running(), world.aws.running()
    workloads: Sequence[Workload] = ()
    if cluster_up and world.kubeconfig.exists():
        try:
            workloads = _workloads(world.cluster)
        except LabError:
            cluster_up = False
    return Status(
        cluster=world.provider.name,
        cluster_up=cluster_up,
        aws=world.aws.name,
        aws_up=aws_up,
        tenants=tuple(fresh.started(world)),
        workloads=tuple(workloads),
        urls=tuple(urls(world.settings)) if cluster_up else (),
    )


def urls(settings: Settings) -> list[tuple[str, str]]:
    """What a browser may open."""
    ports = settings.ports
    return [
        ("Kubernetes API", _server(settings)),
        (mark("AWS endpoint"), f"http://127.0.0.1:{ports.aws}"),
        (mark("MLflow (shared)"), f"http://127.0.0.1:{ports.mlflow}"),
        (mark("iris service"), f"http://127.0.0.1:{ports.serving}/docs"),
        (mark("dashboard"), f"http://127.0.0.1:{ports.dashboard}"),
        (mark("training jobs"), f"http://127.0.0.1:{ports.pipelines}"),
    ]


def _server(settings: Settings) -> str:
    """As the lab's kubeconfig has it: a cluster that is not the lab's own listens where it likes."""
    try:
        found = kubeconfig.read([settings.state / "kubeconfig"]).server
    except LabError:
        found = ""
    return found or f"https://127.0.0.1:{settings.ports.api}"


def _workloads(cluster: Cluster) -> list[Workload]:
    kinds = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"))
    found = [item for api_version, kind in kinds for item in cluster.list(api_version, kind)]
    return sorted((_workload(item) for item in found), key=lambda w: (w.namespace, w.name))


def _workload(item: Object) -> Workload:
    return Workload(item["metadata"]["namespace"], item["metadata"]["name"], item["kind"], ready.missing(item))
