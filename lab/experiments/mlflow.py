"""MLflow's REST API, through the API server's service proxy: the one way that is the same for every cluster and every tenant."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lab.errors import ClusterError, LabError
from lab.kube import Cluster, Object, Refused
from lab.messages import t
from lab.settings import Tenant
from lab.world import World

SHARED = "mlops-training"
SHARED_BUCKET = "mlops-training-shared"
MOST_RUNS = 1000


@dataclass(frozen=True)
class Run:
    """One run as MLflow has it; times are seconds since the epoch, 0 where there is none yet."""

    id: str
    name: str
    experiment_id: str
    status: str
    started: float
    ended: float
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @classmethod
    def read(cls, item: Object) -> Run:
        info, data = item["info"], item.get("data", {})
        return cls(
            id=info["run_id"],
            name=info.get("run_name", ""),
            experiment_id=info["experiment_id"],
            status=info["status"],
            started=int(info.get("start_time") or 0) / 1000,
            ended=int(info.get("end_time") or 0) / 1000,
            params={one["key"]: one["value"] for one in data.get("params") or []},
            metrics={one["key"]: float(one["value"]) for one in data.get("metrics") or []},
            tags={one["key"]: one["value"] for one in data.get("tags") or []},
        )

    @property
    def seconds(self) -> float:
        """How long it took; until now where it has not ended."""
        return (self.ended or time.time()) - self.started


@dataclass(frozen=True)
class Version:
    """A version of a registered model; `champion`: whether the alias points at it."""

    name: str
    version: str
    run_id: str
    source: str
    tags: Mapping[str, str]
    champion: bool


@dataclass(frozen=True)
class Place:
    """Where somebody's trainings run and are kept: the shared namespace (`tenant` is None), or a tenant's own, as that tenant."""

    world: World
    tenant: Tenant | None

    @classmethod
    def of(cls, world: World, tenant: str) -> Place:
        return cls(world, world.settings.one(tenant) if tenant else None)

    @cached_property
    def cluster(self) -> Cluster:
        """As whoever it is; one connection for everything."""
        return self.world.cluster_as(self.tenant) if self.tenant else self.world.cluster

    @property
    def namespace(self) -> str:
        return self.tenant.namespace if self.tenant else SHARED

    @property
    def bucket(self) -> str:
        return self.tenant.bucket if self.tenant else SHARED_BUCKET

    @property
    def option(self) -> str:
        """What to add to a command of the lab to mean this place."""
        return f" --tenant {self.tenant.num}" if self.tenant else ""

    def mlflow(self) -> Mlflow:
        return Mlflow(self.cluster, self.namespace, "mlflow-server" if self.tenant else "mlflow-service")


class Mlflow:
    """One tracking server. Raises Refused for what MLflow refuses, LabError where it does not answer."""

    def __init__(self, cluster: Cluster, namespace: str, service: str) -> None:
        self.cluster, self.namespace, self.service = cluster, namespace, service

    def get(self, path: str, **query: str) -> Any:
        return self._send("GET", path, None, query)

    def post(self, path: str, body: Object) -> Any:
        return self._send("POST", path, body, {})

    def _send(self, method: str, path: str, body: Object | None, query: Mapping[str, str]) -> Any:
        root = self.cluster.kind("v1", "Service").path(self.namespace, f"{self.service}:5000", "proxy")
        try:
            return self.cluster.request(method, f"{root}/api/2.0/mlflow/{path}", body, query=query)
        except ClusterError as error:
            if isinstance(error, Refused) and error.code not in (500, 502, 503, 504):
                raise
            look = f"kubectl get pods -n {self.namespace} -l app=mlflow-server"
            raise LabError(
                t("MLflow in {namespace} does not answer: {why}", namespace=self.namespace, why=error.message), look
            ) from None

    def experiment(self, name: str) -> str | None:
        """Its id; None where there is none."""
        found = self._find("experiments/get-by-name", experiment_name=name)
        return str(found["experiment"]["experiment_id"]) if found else None

    def ensure_experiment(self, name: str) -> str:
        return self.experiment(name) or str(self.post("experiments/create", {"name": name})["experiment_id"])

    def experiments(self) -> dict[str, str]:
        """id -> name."""
        found = self.post("experiments/search", {"max_results": MOST_RUNS}).get("experiments", [])
        return {one["experiment_id"]: one["name"] for one in found}

    def runs(self, experiments: Sequence[str], filter_: str = "", *, most: int = MOST_RUNS) -> list[Run]:
        """The newest first."""
        if not experiments:
            return []
        body = {
            "experiment_ids": list(experiments),
            "filter": filter_,
            "max_results": most,
            "order_by": ["attributes.start_time DESC"],
        }
        return [Run.read(item) for item in self.post("runs/search", body).get("runs", [])]

    def run(self, run_id: str) -> Run | None:
        found = self._find("runs/get", run_id=run_id)
        return Run.read(found["run"]) if found else None

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> Run:
        body = {"experiment_id": experiment_id, "run_name": name, "start_time": _now(), "tags": _pairs(tags)}
        return Run.read(self.post("runs/create", body)["run"])

    def log(self, run_id: str, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        now = _now()
        values = [{"key": key, "value": value, "timestamp": now} for key, value in (metrics or {}).items()]
        self.post("runs/log-batch", {"run_id": run_id, "tags": _pairs(tags), "metrics": values})

    def end(self, run_id: str, status: str) -> None:
        """`status` RUNNING begins it again."""
        body: Object = {"run_id": run_id, "status": status}
        self.post("runs/update", body if status == "RUNNING" else body | {"end_time": _now()})

    def versions(self, name: str) -> list[Version]:
        """Of a registered model, the newest first; empty where there is no such model."""
        query = {"filter": f"name = '{name}'", "max_results": "200"}
        found = self._find("model-versions/search", **query) or {}
        at = self._find("registered-models/alias", name=name, alias="champion") or {}
        champion = at.get("model_version", {}).get("version", "")
        made = [
            Version(
                name=name,
                version=str(one["version"]),
                run_id=one.get("run_id", ""),
                source=one.get("source", ""),
                tags={tag["key"]: tag["value"] for tag in one.get("tags", [])},
                champion=str(one["version"]) == str(champion),
            )
            for one in found.get("model_versions", [])
        ]
        return sorted(made, key=lambda one: int(one.version), reverse=True)

    def _find(self, path: str, **query: str) -> Any:
        """None for what does not exist; MLflow says 404 for most, 400 for an alias."""
        try:
            return self.get(path, **query)
        except Refused as error:
            if error.code == 404 or (error.code == 400 and "alias" in error.message):
                return None
            raise


def _now() -> int:
    return int(time.time() * 1000)


def _pairs(values: Mapping[str, str]) -> list[Object]:
    return [{"key": key, "value": value} for key, value in values.items()]
