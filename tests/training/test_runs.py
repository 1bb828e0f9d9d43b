"""Whole trainings against a real MLflow server, PostgreSQL and S3: what is recorded, and how a run ends when something fails."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tests.images.stack import BUCKET, ROOT, Stack, s3
from tests.training.support import FAST, only_run, request_for, versions
from training import data, program, registry
from training.errors import BadData, FormsDiffer, Stopped, Unavailable
from training.record import Recorder
from training.results import RESULT, Result

# Warnings of MLflow and pandas about themselves, which the program silences too; the first test waits for the stack.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def test_a_training_leaves_everything_a_reader_needs(stack: Stack, client: MlflowClient, model: str) -> None:
    result = program.run(request_for(model, "--max-depth", "20", "--run-name", "experiment-001"), client)
    run = client.get_run(result.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "experiment-001")
    assert run.data.params["n_estimators"] == "10"
    assert run.data.params["max_depth"] == "20"
    assert run.inputs is not None
    assert run.data.params["data_digest"] == run.inputs.dataset_inputs[0].dataset.digest == result.data_digest
    assert run.data.metrics["accuracy"] == result.accuracy
    assert {"f1", "cv_accuracy_mean", "cv_accuracy_std", "log_loss", "forms_points"} <= set(run.data.metrics)
    assert run.data.metrics["forms_largest_difference"] < 1e-6
    assert run.data.tags["version.scikit-learn"]
    assert [file.path for file in client.list_artifacts(result.run_id)] == ["confusion_matrix.png"]
    key = result.artifact_uri.removeprefix("s3://mlops-training-shared/") + "/confusion_matrix.png"
    picture = s3(stack.env).get_object(Bucket="mlops-training-shared", Key=key)["Body"].read()
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize("data_set", ["one", "two", "three", "four"])
def test_first_trainings_on_the_same_data_may_begin_together(client: MlflowClient, model: str, data_set: str) -> None:
    request, table = request_for(model), replace(data.iris(), source=data_set)
    recorders = [Recorder.begin(client, request, table) for _ in range(8)]
    with ThreadPoolExecutor(len(recorders)) as pool:
        list(pool.map(lambda one: one.describe(request, table), recorders))
    for one in recorders:
        inputs = client.get_run(one.run_id).inputs
        assert inputs is not None
        assert [each.dataset.name for each in inputs.dataset_inputs] == [data_set]


def test_the_registered_model_loads_in_every_form_and_none_is_pickle(client: MlflowClient, model: str) -> None:
    result = program.run(request_for(model), client)
    (version,) = versions(client, model)
    assert (version.version, version.status, version.run_id) == (result.version, "READY", result.run_id)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model}@champion"))
    assert sorted(path.name for path in folder.iterdir() if path.name != "registered_model_meta") == [
        "MLmodel", "conda.yaml", "input_example.json", "model.onnx", "model.skops", "python_env.yaml",
        "requirements.txt", "serving.json", "serving_input_example.json",
    ]  # fmt: skip
    description = mlflow.models.Model.load(str(folder))
    assert set(description.flavors) == {"sklearn", "onnx", "python_function"}
    assert description.signature.inputs.input_names() == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    row = mlflow.models.Model.load_input_example(description, str(folder))
    assert mlflow.pyfunc.load_model(str(folder)).predict(row).shape == (3,)
    forest = mlflow.sklearn.load_model(str(folder))
    runtime = mlflow.onnx.load_model(str(folder))
    assert forest.n_estimators == 10
    assert [node.op_type for node in runtime.graph.node][2] == "TreeEnsemble"


def test_the_same_request_gives_the_same_model(client: MlflowClient, model: str) -> None:
    first, second = (program.run(request_for(model, "--workers", workers), client) for workers in ("1", "2"))
    assert first.model_digest == second.model_digest
    assert first.run_id != second.run_id


@pytest.mark.exhaustive
def test_both_forms_have_the_same_bytes_in_another_process(
    client: MlflowClient, model: str, stack: Stack, command: list[subprocess.Popen[str]]
) -> None:
    here = program.run(request_for(model), client)
    child = start(command, stack, *FAST, "--model-name", model, "--experiment", model)
    output, errors = child.communicate(timeout=280)
    assert child.returncode == 0, errors
    there = Result(**json.loads(output.splitlines()[-1].removeprefix(RESULT)))
    assert (there.model_digest, there.skops_digest) == (here.model_digest, here.skops_digest)
    tags = client.get_run(here.run_id).data.tags
    assert (tags["model_digest"], tags["skops_digest"]) == (here.model_digest, here.skops_digest)
    assert tags["code_digest"] == client.get_run(there.run_id).data.tags["code_digest"]


def test_an_attempt_after_one_that_finished_trains_nothing(client: MlflowClient, model: str) -> None:
    """Its node was lost between the run's end and the pod's."""
    first = program.run(request_for(model, job="iris-training-abcde"), client)
    assert program.run(request_for(model, job="iris-training-abcde"), client) == first
    assert only_run(client, model).info.run_id == first.run_id
    assert len(versions(client, model)) == 1
    other = program.run(request_for(model, "--seed", "7", job="iris-training-abcde"), client)
    assert other.run_id != first.run_id


def test_a_point_of_a_sweep_is_trained_once(client: MlflowClient, model: str) -> None:
    points = ["--sweep", "a-sweep", "--point", "n_estimators=3", "--point", "n_estimators=4", "--no-register"]
    one = program.run(request_for(model, *points, job="first"), client)
    two = program.run(request_for(model, *points, "--index", "1", job="first"), client)
    assert one.run_id != two.run_id
    assert program.run(request_for(model, *points, "--index", "1", job="second"), client) == two
    assert versions(client, model) == []
    run = client.get_run(two.run_id)
    assert (run.data.tags["sweep"], run.data.tags["point"]) == (
        "a-sweep",
        "n_estimators=4,max_depth=none,seed=42,test_size=0.2,folds=2",
    )


def test_a_table_in_s3_is_fetched_and_kept_in_the_run(
    client: MlflowClient, model: str, stack: Stack, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows = [f"{x:.3f},{y:.3f},{'big' if x + y > 0 else 'small'}" for x, y in random.normal(size=(60, 2))]
    body = "\n".join(["width,height,size", *rows]).encode()
    uri = f"s3://{BUCKET}/datasets/{hashlib.sha256(body).hexdigest()}.csv"
    s3(stack.env).put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=body)
    result = program.run(request_for(model, "--data", uri, "--data-name", "sizes.csv"), client)
    run = client.get_run(result.run_id)
    assert (run.data.params["data"], run.data.tags["data_uri"]) == ("sizes.csv", uri)
    s3(stack.env).put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=body + b"\n1,1,big")
    with pytest.raises(BadData, match="is not the file that was uploaded"):
        program.run(request_for(model, "--data", uri), client)
    with pytest.raises(BadData, match="does not exist"):
        program.run(request_for(model, "--data", uri.replace("datasets", "nowhere")), client)


def test_champion_moves_only_to_what_is_not_worse(client: MlflowClient, model: str) -> None:
    good = program.run(request_for(model), client)
    assert (good.champion, good.champion_before) == (True, "")
    worse = program.run(request_for(model, "--n-estimators", "1", "--max-depth", "1"), client)
    assert worse.accuracy < good.accuracy
    assert (worse.champion, worse.champion_before) == (False, good.version)
    equal = program.run(request_for(model), client)
    assert (equal.champion, equal.champion_before) == (True, good.version)
    assert client.get_model_version_by_alias(model, "champion").version == equal.version


def test_a_deleted_champion_is_followed_by_the_next(client: MlflowClient, model: str) -> None:
    first = program.run(request_for(model), client)
    client.delete_model_version(model, first.version)
    worse = program.run(request_for(model, "--n-estimators", "1", "--max-depth", "1"), client)
    assert worse.champion


def test_of_two_promotions_at_once_the_better_stays(client: MlflowClient, model: str) -> None:
    """Both saw no champion; the worse one sets the alias last."""
    program.run(request_for(model), client)
    client.delete_registered_model_alias(model, "champion")
    good = client.get_model_version(model, "1")
    late = registry.register(
        client,
        model,
        source=str(good.source),
        run_id=str(good.run_id),
        model_id=good.model_id,
        tags={registry.SCORE: "0.1"},
    )

    class Slow(MlflowClient):
        """Its first look at the champion is answered after the other has moved the alias."""

        def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
            with pytest.raises(MlflowException, match="alias champion not found"):
                super().get_model_version_by_alias(name, alias)
            registry.promote(client, good)
            raise MlflowException("not found", error_code=3002)

    promotion = registry.promote(Slow(client.tracking_uri), late)
    assert (promotion.moved, promotion.before) == (False, good.version)
    assert client.get_model_version_by_alias(model, "champion").version == good.version


def test_forms_that_differ_fail_the_run_and_register_nothing(
    client: MlflowClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.equality.TOLERANCE", -1.0)
    with pytest.raises(FormsDiffer):
        program.run(request_for(model), client)
    run = only_run(client, model)
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"].startswith("the ONNX form and scikit-learn differ by up to")
    assert versions(client, model) == []


def test_bad_data_starts_no_run(client: MlflowClient, model: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,x\n")
    with pytest.raises(BadData):
        program.run(request_for(model, "--data", str(table)), client)
    assert client.get_experiment_by_name(model) is None


def test_a_table_of_ones_own_is_trained_on_with_its_names(client: MlflowClient, model: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [f"{x:.3f},{y:.3f},{'big' if x + y > 0 else 'small'}" for x, y in random.normal(size=(60, 2))]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["width,height,size", *rows]))
    program.run(request_for(model, "--data", str(table)), client)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model}@champion"))
    made = json.loads((folder / "serving.json").read_text())
    assert ([feature["name"] for feature in made["features"]], made["classes"]) == (
        ["width", "height"],
        ["big", "small"],
    )


def test_s3_that_does_not_answer_fails_the_run_and_registers_nothing(
    client: MlflowClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="S3 does not take"):
        program.run(request_for(model), client)
    run = only_run(client, model)
    assert run.info.status == "FAILED"
    assert "S3 does not take" in run.data.tags["failure"]
    assert versions(client, model) == []
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert logged.status == "FAILED"


def test_mlflow_that_does_not_answer_is_one_sentence(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable, match="MLflow does not start a run"):
        program.run(request_for(model), MlflowClient("http://127.0.0.1:9"))


@pytest.fixture
def command(stack: Stack) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def start(started: list[subprocess.Popen[str]], stack: Stack, *arguments: str, job: str = "") -> subprocess.Popen[str]:
    """The command itself, as the container runs it."""
    env = {**os.environ, **stack.env, "MPLBACKEND": "Agg"} | ({"JOB_NAME": job} if job else {})
    argv = [sys.executable, "-m", "training", *arguments]
    pipe = subprocess.PIPE
    started.append(subprocess.Popen(argv, env=env, cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
    return started[-1]


def running(client: MlflowClient, experiment: str) -> Run:
    """Wait until the run has begun."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        found = client.get_experiment_by_name(experiment)
        if found and (runs := client.search_runs([found.experiment_id])) and "n_estimators" in runs[0].data.params:
            return runs[0]
        time.sleep(0.05)
    pytest.fail("no run began")


SLOW = ["--n-estimators", "5000", "--folds", "20", "--workers", "1"]


def test_sigterm_ends_the_run_as_killed(
    stack: Stack, client: MlflowClient, model: str, command: list[subprocess.Popen[str]]
) -> None:
    child = start(command, stack, *SLOW, "--model-name", model, "--experiment", model)
    run = running(client, model)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == Stopped.exit_code
    ended = client.get_run(run.info.run_id)
    assert ended.info.status == "KILLED"
    assert ended.data.tags["failure"] == "stopped by SIGTERM: the Job or its pod was deleted"
    assert versions(client, model) == []


def test_after_kill_9_the_next_attempt_ends_the_first_run(
    stack: Stack, client: MlflowClient, model: str, command: list[subprocess.Popen[str]]
) -> None:
    names = ["--model-name", model, "--experiment", model]
    child = start(command, stack, *SLOW, *names, job="iris-training-abcde")
    run = running(client, model)
    child.kill()
    child.wait()
    result = program.run(request_for(model, job="iris-training-abcde"), client)
    first = client.get_run(run.info.run_id)
    assert first.info.status == "FAILED"
    assert first.data.tags["failure"] == "its pod ended without a word; another attempt followed"
    assert client.get_run(result.run_id).info.status == "FINISHED"


@pytest.mark.exhaustive  # the end-to-end test reads that line too
def test_the_command_ends_with_its_result_as_the_last_line(
    stack: Stack, model: str, command: list[subprocess.Popen[str]]
) -> None:
    child = start(command, stack, *FAST, "--model-name", model, "--experiment", model)
    output, errors = child.communicate(timeout=280)
    assert child.returncode == 0, errors
    last = output.splitlines()[-1]
    assert last.startswith(RESULT)
    assert Result(**json.loads(last.removeprefix(RESULT))).version == "1"


@pytest.mark.exhaustive
def test_keys_that_may_not_write_are_named(
    stack: Stack, client: MlflowClient, model: str, command: list[subprocess.Popen[str]]
) -> None:
    thief = replace(stack, env=stack.env | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    child = start(command, thief, *FAST, "--model-name", model, "--experiment", model)
    _, errors = child.communicate(timeout=200)
    assert child.returncode == Unavailable.exit_code
    assert "SignatureDoesNotMatch" in errors
    assert only_run(client, model).info.status == "FAILED"


def test_the_command_needs_mlflow(command: list[subprocess.Popen[str]], stack: Stack) -> None:
    child = start(command, Stack(stack.folder, "", 0, 0, {"MLFLOW_TRACKING_URI": ""}))
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 2
    assert errors == "training: MLFLOW_TRACKING_URI is not set: where is MLflow?\n"
