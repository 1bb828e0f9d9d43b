"""`python -m tracking`: MLflow's own server in one process."""

from __future__ import annotations

import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from images.mlflow.tracking.server import Config, Refused
from tests.images.stack import Stack, answers, free_port, process

pytestmark = pytest.mark.timeout(300)


def ask(stack: Stack, path: str, host: str) -> int:
    request = urllib.request.Request(f"{stack.tracking_uri}{path}", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(
    "host",
    ["mlflow-server", "mlflow-server:5000", "mlflow-server.kubeflow-user01.svc.cluster.local:5000", "127.10.0.7:5000"],
)
def test_names_in_the_cluster_are_let_in(stack: Stack, host: str) -> None:
    assert ask(stack, "/api/2.0/mlflow/experiments/get?experiment_id=0", host) == 200


def test_other_names_are_not(stack: Stack) -> None:
    assert ask(stack, "/api/2.0/mlflow/experiments/get?experiment_id=0", "evil.example.com") == 403
    assert ask(stack, "/health", "evil.example.com") == 200


def test_it_is_one_process(stack: Stack) -> None:
    (server,) = [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE  # other tests' children, not waited for yet
        and "tracking" in child.cmdline()
        and "tracking.databases" not in child.cmdline()
    ]
    assert server.children(recursive=True) == []


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "MLFLOW_BACKEND_STORE_URI is not set"),
        ({"MLFLOW_BACKEND_STORE_URI": "postgresql://x", "MLFLOW_ARTIFACT_ROOT": "/tmp/x"}, "must be s3://BUCKET"),
    ],
)
def test_what_is_missing_is_named(env: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        Config.read(env)


TOLD = """
import asyncio, sys, uvicorn
from images.mlflow.tracking.server import Server

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

ticks = []
class Counted(Server):
    async def on_tick(self, counter):
        ticks.append(counter)
        return await super().on_tick(counter)

try:
    Counted(uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off")).run()
except KeyboardInterrupt:
    pass  # how uvicorn ends where the signal is not ignored, as it is for a background job of a shell
print(len(ticks))
"""


def test_it_sleeps_until_it_is_told_to_end(tmp_path: Path) -> None:
    port, log, begun = free_port(), tmp_path / "log", time.monotonic()
    with process([sys.executable, "-c", TOLD, str(port)], {}, log) as server:
        answers(f"http://127.0.0.1:{port}/", server, log)
        time.sleep(1.5)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        seconds = time.monotonic() - begun
    assert int(log.read_text()) <= 3 + seconds  # uvicorn's own way: fifteen and more
