"""ml-pipeline-ui: rows of Jobs and runs, and MLflow's REST API as MLflow 3 answers it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kubeflow_lite import health
from kubeflow_lite.objects import Object
from kubeflow_lite.pipelines.mlflow import Run, TrackingError, recent_runs
from kubeflow_lite.pipelines.view import JobRow, view
from kubeflow_lite.web import pages

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
MILLISECONDS = int(NOW.timestamp() * 1000)


def job(name: str, namespace: str = "mlops-training", args: list[str] | None = None, **status: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-22T11:00:00Z"},
        "spec": {"template": {"spec": {"containers": [{"name": "training", "args": args or []}]}}},
        "status": status,
    }


def row(one: Object) -> JobRow:
    return view([one], [], at=NOW).jobs[0]


def test_a_finished_job() -> None:
    arguments = ["--n-estimators", "200", "--max-depth=20", "--run-name", "experiment-001", "--quick"]
    done = row(
        job(
            "iris-training",
            args=arguments,
            startTime="2026-11-22T11:59:00Z",
            completionTime="2026-11-22T11:59:06Z",
            conditions=[{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}],
        )
    )
    assert (done.state, done.good, done.run_name, done.took, done.started) == (
        "succeeded",
        True,
        "experiment-001",
        "6s",
        "1m ago",
    )
    assert done.parameters == "n-estimators=200, max-depth=20, quick=yes"


def test_a_failed_job_says_why_and_for_how_long_it_ran() -> None:
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": "BackoffLimitExceeded",
        "lastTransitionTime": "2026-11-22T11:59:30Z",
    }
    done = row(job("x", startTime="2026-11-22T11:59:00Z", conditions=[failed]))
    assert (done.state, done.good, done.reason, done.took) == ("failed", False, "BackoffLimitExceeded", "30s")


@pytest.mark.parametrize(
    ("status", "state"),
    [({}, "pending"), ({"active": 1}, "starting"), ({"active": 1, "ready": 1}, "running")],
)
def test_a_job_on_its_way(status: dict[str, Any], state: str) -> None:
    assert row(job("x", **status)).state == state


def test_a_run_as_a_row() -> None:
    run = Run(
        "r",
        "iris",
        "FINISHED",
        MILLISECONDS - 10_000,
        MILLISECONDS - 4_000,
        {"test_accuracy": 0.96667},
        {"max_depth": "20"},
    )
    found = view([], [run, replace(run, name="goes on", ended=0)], at=NOW)
    (shown, running) = found.runs
    assert (shown.accuracy, shown.f1, shown.took, shown.parameters) == ("0.9667", "–", "6s", "max_depth=20")
    assert (found.age(shown.at), running.took) == ("10s", "")
    text = pages.render("pipelines.html", {"title": "t", "subtitle": "s", "view": found})
    assert "<td>10s ago</td><td>6s</td>" in text
    assert "<td>10s ago</td><td>10s</td>" in text


def test_the_page_says_why_there_are_no_runs() -> None:
    shown = view([], [], at=NOW, problem="MLflow does not answer (ClientConnectorError)")
    text = pages.render("pipelines.html", {"title": "t", "subtitle": "s", "view": shown})
    assert "MLflow does not answer" in text
    assert "No training Job" in text


class Tracking:
    """The two calls of MLflow's REST API, with answers recorded from MLflow 3."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.experiments: Object = {"experiments": [{"experiment_id": "3", "name": "iris"}]}

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/api/2.0/mlflow/experiments/search", self.search),
                web.post("/api/2.0/mlflow/runs/search", self.runs),
            ]
        )
        return app

    async def search(self, request: web.Request) -> web.Response:
        return web.json_response(self.experiments)

    async def runs(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        info = {
            "run_id": "abc",
            "run_name": "experiment-001",
            "experiment_id": "3",
            "status": "RUNNING",
            "start_time": 1763812800000,
        }
        data = {
            "metrics": [{"key": "test_accuracy", "value": 0.9667, "step": 0}],
            "params": [{"key": "n", "value": "200"}],
        }
        return web.json_response({"runs": [{"info": info, "data": data}]})


async def test_recent_runs() -> None:
    tracking = Tracking()
    async with health.serving(tracking.application(), "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        (run,) = await recent_runs(session, f"http://127.0.0.1:{port}")
        assert run == Run(
            "experiment-001", "iris", "RUNNING", 1763812800000, 0, {"test_accuracy": 0.9667}, {"n": "200"}
        )
        assert tracking.asked[0]["experiment_ids"] == ["3"]
        tracking.experiments = {}
        assert await recent_runs(session, f"http://127.0.0.1:{port}") == []


async def test_an_mlflow_that_is_down_or_is_none() -> None:
    async with aiohttp.ClientSession() as session:
        async with health.serving(health.application(lambda: True), "127.0.0.1", 0) as port:
            with pytest.raises(TrackingError, match="HTTP 404"):
                await recent_runs(session, f"http://127.0.0.1:{port}")
        with pytest.raises(TrackingError, match="does not answer"):
            await recent_runs(session, f"http://127.0.0.1:{port}")
