"""The services a training talks to, a client of them, and what makes PostgreSQL restart."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import boto3
import pytest

from tests.images.stack import Stack, postgres, stack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of itself while it is imported
    import mlflow.onnx
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.tracking import MlflowClient

    from training.record import patience

__all__ = ["mlflow", "stack"]


@pytest.fixture
def client(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow's client in this process, with S3's keys beside it; boto3's own session may remember the keys of another test."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "AWS_MAX_ATTEMPTS": "2", "MPLBACKEND": "Agg"}
    for name, value in (stack.env | patience({}) | quick).items():
        monkeypatch.setenv(name, value)
    return MlflowClient(stack.tracking_uri)


@pytest.fixture
def model() -> str:
    """A registered model of the test's own."""
    return f"iris-{uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def restart_postgres(stack: Stack) -> Iterator[Callable[[], None]]:
    """Stops the stack's PostgreSQL as a pod's end does, and starts another on the same data, which then serves to the end of the session."""
    pid_file = stack.folder / "pgdata" / "postmaster.pid"
    with ExitStack() as started:

        def restart() -> None:
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
            while pid_file.exists():
                time.sleep(0.02)
            started.enter_context(postgres(stack.folder, stack.postgres_port))

        yield restart
