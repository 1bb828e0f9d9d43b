"""The recent runs of one MLflow server, through its REST API (no MLflow client: importing it costs more than this whole program)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from kubeflow_lite.errors import KubeflowError

RUNS = 25
_SECONDS = 5.0


class TrackingError(KubeflowError):
    """MLflow did not answer, or not as MLflow does; `why` in a word."""

    def __init__(self, why: str) -> None:
        super().__init__(f"MLflow does not answer ({why})")
        self.why = why


@dataclass(frozen=True)
class Run:
    """Times are milliseconds since 1970, `ended` is 0 while the run goes on."""

    name: str
    experiment: str
    status: str
    started: int
    ended: int
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]


async def recent_runs(session: aiohttp.ClientSession, uri: str) -> list[Run]:
    """The latest runs of all experiments, newest first."""
    found = await _post(session, f"{uri}/api/2.0/mlflow/experiments/search", {"max_results": 200})
    experiments = {one["experiment_id"]: one["name"] for one in found.get("experiments") or []}
    if not experiments:
        return []
    query = {"experiment_ids": list(experiments), "max_results": RUNS, "order_by": ["attributes.start_time DESC"]}
    runs = await _post(session, f"{uri}/api/2.0/mlflow/runs/search", query)
    return [parse(one, experiments) for one in runs.get("runs") or []]


def parse(run: Mapping[str, Any], experiments: Mapping[str, str]) -> Run:
    info, data = run["info"], run.get("data") or {}
    return Run(
        name=str(info.get("run_name") or info["run_id"]),
        experiment=experiments.get(info["experiment_id"], info["experiment_id"]),
        status=str(info.get("status") or "UNKNOWN"),
        started=int(info.get("start_time") or 0),
        ended=int(info.get("end_time") or 0),
        metrics={one["key"]: float(one["value"]) for one in _entries(data, "metrics")},
        parameters={one["key"]: str(one["value"]) for one in _entries(data, "params")},
    )


def _entries(data: Mapping[str, Any], field: str) -> Sequence[Mapping[str, Any]]:
    return data.get(field) or []


async def _post(session: aiohttp.ClientSession, url: str, body: object) -> Mapping[str, Any]:
    try:
        async with session.post(url, json=body, timeout=aiohttp.ClientTimeout(total=_SECONDS)) as response:
            if response.status != 200:
                raise TrackingError(f"HTTP {response.status}")
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise TrackingError(type(error).__name__) from error
    if not isinstance(answer, dict):
        raise TrackingError("no JSON object")
    return answer
