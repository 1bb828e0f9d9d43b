"""What is around a prediction: metrics, drift, the v2 protocol, settings, and the process's end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.drift import Drift
from serving.model import Profile
from serving.settings import BadSettings, Settings
from tests.images.stack import ROOT, Stack, answers, free_port, process
from tests.serving.conftest import files
from training.data import iris

ROW = [5.1, 3.5, 1.4, 0.2]


async def test_metrics_count_answers_and_classes(client: httpx.AsyncClient) -> None:
    await client.post("/predict", json={"features": ROW})
    await client.post("/predict/batch", json={"features": [ROW, [6.7, 3.0, 5.2, 2.3]]})
    await client.post("/predict", json={})
    await client.get("/nowhere/at/all")
    text = (await client.get("/metrics")).text
    assert 'serving_predictions_total{label="setosa"} 2.0' in text
    assert 'serving_predictions_total{label="virginica"} 1.0' in text
    assert 'serving_requests_total{route="/predict",status="422"} 1.0' in text
    assert 'serving_requests_total{route="other",status="404"} 1.0' in text
    assert 'serving_request_seconds_count{route="/predict"} 2.0' in text
    assert "process_resident_memory_bytes" in text


def test_the_training_data_has_not_drifted_and_other_data_has() -> None:
    profile = Profile.read(files().profile)
    same, other = Drift(profile.features), Drift(profile.features)
    same.many(iris().features)
    assert max(same.index().values()) < 0.1
    for row in iris().features:
        other.one(np.add(row, [0, 0, 3, 0]).tolist())
    index = other.index()
    assert index["petal_length"] > 0.25
    assert index["sepal_width"] < 0.1


def test_one_by_one_and_a_batch_count_alike_and_old_rows_weigh_less() -> None:
    profile = Profile.read(files().profile)
    one, many = Drift(profile.features), Drift(profile.features)
    for row in iris().features:
        one.one(row.tolist())
    many.many(iris().features)
    assert one.counts == many.counts
    assert Drift(profile.features).index() == {}
    many.many(np.tile([7.9, 4.4, 6.9, 2.5], (200_000, 1)))
    assert many.rows <= 10_000
    assert many.index()["petal_length"] > 1


async def test_drift_shows_in_the_metrics(client: httpx.AsyncClient) -> None:
    await client.post("/predict/batch", json={"features": [[7.9, 4.4, 6.9, 2.5]] * 60})
    text = (await client.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith('serving_feature_psi{feature="petal_length"}')]
    assert float(line.split()[-1]) > 0.25


def infer(data: Any, **changes: Any) -> dict[str, Any]:
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": data}
    return {"id": "7", "inputs": [tensor | changes]}


async def test_v2_answers_as_kserve_does(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/models/iris/ready")).json() == {"name": "iris", "ready": True}
    metadata = (await client.get("/v2/models/iris/versions/1")).json()
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]
    for data in (ROW, [ROW]):
        answer = (await client.post("/v2/models/iris/infer", json=infer(data))).json()
        assert (answer["model_name"], answer["model_version"], answer["id"]) == ("iris", "1", "7")
        label, probabilities = answer["outputs"]
        assert (label["name"], label["datatype"], label["shape"], label["data"]) == ("label", "INT64", [1], [0])
        assert probabilities["shape"] == [1, 3]
    only = infer(ROW) | {"outputs": [{"name": "label"}]}
    assert len((await client.post("/v2/models/iris/infer", json=only)).json()["outputs"]) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "give one input"),
        (infer(ROW, name="x"), "the input is 'features'"),
        (infer(ROW, datatype="BYTES"), "FP64 or FP32"),
        (infer(ROW, shape=[4]), "[rows, 4]"),
        (infer(ROW, shape=[-1, 4]), "[rows, 4]"),
        (infer(ROW[:3]), "data must hold 4 numbers"),
        (infer([1, 2, 3, "4"]), "numbers only"),
        (infer([1, 2, 3, 1e9]), "out of the range"),
        (infer(None), "data must hold 4 numbers"),
        (infer(ROW) | {"outputs": [{"name": "x"}]}, "the outputs are"),
        (infer(ROW) | {"outputs": 7}, "a list of {name}"),
    ],
)
async def test_v2_says_what_is_wrong(client: httpx.AsyncClient, body: Any, words: str) -> None:
    answer = await client.post("/v2/models/iris/infer", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


async def test_v2_takes_ten_thousand_rows_and_no_more(client: httpx.AsyncClient) -> None:
    most = infer(ROW * 10_000, shape=[10_000, 4])
    answer = (await client.post("/v2/models/iris/infer", json=most)).json()
    assert answer["outputs"][0]["shape"] == [10_000]
    more = await client.post("/v2/models/iris/infer", json=infer(ROW, shape=[10_001, 4]))
    assert (more.status_code, more.json()) == (413, {"error": "10001 rows; at most 10000"})


async def test_v2_knows_only_its_model(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v2/models/rose/infer", json=infer(ROW))).status_code == 404
    assert (await client.get("/v2/models/iris/versions/9/ready")).status_code == 404


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "MLFLOW_TRACKING_URI must be"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///x"}, "MLFLOW_TRACKING_URI must be"),
        ({"MLFLOW_TRACKING_URI": "http://m", "PORT": "http"}, "PORT is 'http'"),
        ({"MLFLOW_TRACKING_URI": "http://m", "POLL_SECONDS": "-1"}, "POLL_SECONDS is '-1'"),
    ],
)
def test_settings_that_are_wrong_are_named(env: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        Settings.read(env)


def test_settings_do_not_print_secrets() -> None:
    env = {"MLFLOW_TRACKING_URI": "http://m", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "hush"}
    assert "hush" not in repr(Settings.read(env))


def champion(stack: Stack) -> dict[str, Any]:
    """Train one, as the Job does; its result."""
    argv = [sys.executable, "-W", "ignore", "-m", "training", "--n-estimators", "10", "--folds", "2"]
    env = {**os.environ, **stack.env, "MPLBACKEND": "Agg"}
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    return result


@pytest.mark.timeout(300)
def test_the_command_serves_what_was_trained_and_ends_within_its_time(stack: Stack, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    env = stack.env | {"POD_IP": "127.0.0.1", "PORT": str(port), "DRAIN_SECONDS": "0.5", "POLL_SECONDS": "0.1"}
    with process([sys.executable, "-m", "serving"], env, log) as child:
        answers(f"{url}/health", child, log)
        trained = champion(stack)
        answers(f"{url}/ready", child, log)
        answer = httpx.post(f"{url}/predict", json={"features": ROW}, trust_env=False).json()
        assert answer["prediction"] == "setosa"
        assert answer["model"] == {"name": "iris", "version": trained["version"], "run_id": trained["run_id"]}
        started = time.monotonic()
        child.send_signal(signal.SIGTERM)
        while httpx.get(f"{url}/ready", trust_env=False).status_code == 200:
            assert time.monotonic() - started < 5
        assert httpx.post(f"{url}/predict", json={"features": ROW}, trust_env=False).status_code == 200
        assert child.wait(10) == 0
        events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
        assert "model in service" in events
        assert events.count("draining") == 1, events
