"""A training whose services or disk fail half-way: the run ends with the reason, no half-registered version appears, nothing acknowledged is lost."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlflow.tracking import MlflowClient

from tests.images.stack import Stack
from tests.training.faults import proxy
from tests.training.support import only_run, request_for, versions
from training import package, program
from training.errors import NoSpace, Unavailable

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(400)]


@contextmanager
def small_disk(most: int) -> Iterator[None]:
    """No file may grow past `most` bytes, as on a disk that is full (EFBIG, where a full disk says ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_fails_the_run_with_its_reason(client: MlflowClient, model: str) -> None:
    with small_disk(4_000), pytest.raises(NoSpace, match="no room for the model's files"):
        program.run(request_for(model), client)
    run = only_run(client, model)
    assert run.info.status == "FAILED"
    assert "no room for the model's files" in run.data.tags["failure"]
    assert versions(client, model) == []
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert logged.status == "FAILED"


def test_s3_that_answers_503_for_a_while_is_waited_for(
    client: MlflowClient, model: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six seconds here; the twenty of a real outage are in the exhaustive test below."""
    _through_503(client, model, stack, monkeypatch, seconds=6)


@pytest.mark.exhaustive
def test_s3_that_answers_503_for_twenty_seconds_is_waited_for(
    client: MlflowClient, model: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    _through_503(client, model, stack, monkeypatch, seconds=20)


def _through_503(
    client: MlflowClient, model: str, stack: Stack, monkeypatch: pytest.MonkeyPatch, *, seconds: float
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "11")
    with proxy(urlsplit(stack.env["MLFLOW_S3_ENDPOINT_URL"]).port or 0) as between:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        between.refuse_for(seconds)
        result = program.run(request_for(model), client)
    assert between.refused > 1
    assert client.get_run(result.run_id).info.status == "FINISHED"
    (version,) = versions(client, model)
    assert (version.version, version.status) == (result.version, "READY")


def test_s3_that_goes_on_answering_503_is_given_up(
    client: MlflowClient, model: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(urlsplit(stack.env["MLFLOW_S3_ENDPOINT_URL"]).port or 0) as between:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        between.refuse_for(3600)
        with pytest.raises(Unavailable, match=r"S3 does not take .*ServiceUnavailable"):
            program.run(request_for(model), client)
    assert 2 <= between.refused <= 4, "tried again, and not for ever"
    assert only_run(client, model).info.status == "FAILED"
    assert versions(client, model) == []


def test_a_postgresql_that_restarts_meanwhile_loses_nothing(
    client: MlflowClient, model: str, restart_postgres: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends while the model is written. MLflow calls that a bad request, which no client tries again: the Job's next attempt does."""
    restarting = threading.Thread(target=restart_postgres)
    write = package.write

    def write_meanwhile(*arguments: Any, **options: Any) -> package.Package:
        monkeypatch.setattr(package, "write", write)
        restarting.start()
        return write(*arguments, **options)

    monkeypatch.setattr(package, "write", write_meanwhile)
    request = request_for(model, job="iris-training-restart")
    try:
        result = program.run(request, client)
    except Unavailable:
        restarting.join()
        result = program.run(request, client)
    restarting.join()
    run = client.get_run(result.run_id)
    assert (run.info.status, run.data.params["n_estimators"]) == ("FINISHED", "10")
    assert run.data.metrics["accuracy"] == result.accuracy
    others = [
        one.info.status for one in client.search_runs([run.info.experiment_id]) if one.info.run_id != result.run_id
    ]
    assert others in ([], ["FAILED"])
    assert [version.version for version in versions(client, model)] == [result.version]
