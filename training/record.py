"""A run in MLflow, from its first parameter to its last status.

What it guarantees: a run that was begun ends FINISHED, FAILED or KILLED with the reason in its tag `failure`, whatever happened, as long as
MLflow can be reached at all; and a registered version exists only with all its files in S3. Retries are MLflow's and boto3's own, bounded
(see `patience`): they outlast half a minute of 503s, and end after about two.

A training that was finished is not repeated: an attempt of the same Job, or a point of the same sweep, whose `training_key` (parameters
and data) a FINISHED run carries, ends with that run's result. One that is still RUNNING under that key died without a word and is buried.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from mlflow.entities import Dataset, DatasetInput, LoggedModel, Metric, Param, Run, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from training.arguments import Parameters, Request
from training.data import Table
from training.errors import Stopped, Unavailable
from training.package import Package, versions

LONGEST_TAG = 5000
KEY, RESULT, FAILURE = "training_key", "result", "failure"


class Repeated(Exception):
    """What was asked for has been trained already, by this run; not an error."""

    def __init__(self, run_id: str, result: str) -> None:
        super().__init__(f"run {run_id} has trained this already")
        self.run_id, self.result = run_id, result


def patience(env: Mapping[str, str]) -> dict[str, str]:
    """How long MLflow's and boto3's clients try again; what the environment says already wins."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "11",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    return {name: value for name, value in wanted.items() if name not in env}


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Turn what the clients raise when a service does not answer, or refuses, into one sentence."""
    try:
        yield
    except (MlflowException, RequestException, Boto3Error, BotoCoreError, ClientError) as error:
        raise Unavailable(f"{what}: {_short(error)}") from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:600]


class Recorder:
    """One run. Make it with `begin`."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self.client = client
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.artifact_uri: str = run.info.artifact_uri

    @classmethod
    def begin(cls, client: MlflowClient, request: Request, table: Table) -> Recorder:
        """Start a run in the experiment, which is made where it is missing. Raises Repeated where there is nothing left to do."""
        key = training_key(request.parameters, table)
        with reaching("MLflow does not start a run"):
            experiment_id = _experiment(client, request.experiment)
            if request.job or request.sweep:
                _earlier(client, experiment_id, request, key)
            tags = _tags(request) | {KEY: key, "data_digest": table.digest}
            return cls(client, client.create_run(experiment_id, run_name=request.run_name, tags=tags))

    def describe(self, request: Request, table: Table) -> None:
        """Parameters and data, before anything is computed: a run that fails says what it tried."""
        parameters = request.parameters.texts() | {"data": table.source, "data_digest": table.digest}
        place = request.data or table.source
        dataset = Dataset(name=table.source, digest=table.digest, source_type="local", source=place)
        with reaching("MLflow does not take the run's parameters"):
            self.client.log_batch(self.run_id, params=[Param(key, value) for key, value in parameters.items()])
            self._use(dataset)

    def _use(self, dataset: Dataset) -> None:
        """MLflow looks whether an experiment knows a dataset, then adds it: of two trainings that are the first ones one is refused, once."""
        try:
            self.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset)])
        except MlflowException as error:
            if "dataset_pk" not in str(error):
                raise
            self.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset)])

    def begin_model(self, name: str) -> LoggedModel:
        """The logged model that the files of `upload` will belong to."""
        with reaching("MLflow does not start a model"):
            return self.client.create_logged_model(self.experiment_id, name=name, source_run_id=self.run_id)

    def description(self, model: LoggedModel) -> Model:
        """The MLmodel of a logged model, before it has flavors."""
        return Model(artifact_path=model.artifact_location, run_id=self.run_id, model_id=model.model_id)

    def upload(self, model: LoggedModel, package: Package) -> None:
        """The files, to S3; then, and only then, is the model READY."""
        with reaching(f"S3 does not take the model ({model.artifact_location})"):
            self.client.log_model_artifacts(model.model_id, str(package.folder))
        with reaching("MLflow does not take the model"):
            self.client.finalize_logged_model(model.model_id, "READY")

    def discard(self, model: LoggedModel) -> None:
        """Mark a model that did not get complete."""
        self.client.finalize_logged_model(model.model_id, "FAILED")

    def log(self, metrics: Mapping[str, float], tags: Mapping[str, str], model: LoggedModel) -> None:
        """Scores of the run and of its model."""
        now = int(time.time() * 1000)
        with reaching("MLflow does not take the run's metrics"):
            self.client.log_batch(
                self.run_id,
                metrics=[Metric(key, value, now, 0, model_id=model.model_id) for key, value in metrics.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )

    def attach(self, file: Path) -> None:
        """A file of the run."""
        with reaching(f"S3 does not take {file.name} ({self.artifact_uri})"):
            self.client.log_artifact(self.run_id, str(file))

    def finish(self, result: str) -> None:
        """End well. `result` is kept, for an attempt that comes after this one."""
        with reaching("MLflow does not end the run"):
            self.client.set_tag(self.run_id, RESULT, result)
            self.client.set_terminated(self.run_id, RunStatus.to_string(RunStatus.FINISHED))

    def fail(self, reason: BaseException) -> None:
        """End badly, saying why."""
        status = RunStatus.KILLED if isinstance(reason, Stopped) else RunStatus.FAILED
        text = f"{reason}" or type(reason).__name__
        self.client.set_tag(self.run_id, FAILURE, text[:LONGEST_TAG])
        self.client.set_terminated(self.run_id, RunStatus.to_string(status))


def _experiment(client: MlflowClient, name: str) -> str:
    if found := client.get_experiment_by_name(name):
        if found.lifecycle_stage != "active":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS" and (found := client.get_experiment_by_name(name)):
            return str(found.experiment_id)  # another training was quicker
        raise


def training_key(parameters: Parameters, table: Table) -> str:
    """Sixteen hex digits: trainings with the same key give the same model."""
    return hashlib.sha256(f"{parameters.point} {table.digest}".encode()).hexdigest()[:16]


def _earlier(client: MlflowClient, experiment_id: str, request: Request, key: str) -> None:
    """Raise Repeated for a finished run of the same; end one that could not end itself (kill -9, a lost node).

    A Job has one attempt at a time, whatever it trains; the points of a sweep run side by side and are told apart by their key.
    """
    point = f"tags.sweep = '{request.sweep}' and tags.{KEY} = '{key}'"
    mine = point if request.sweep else f"tags.job = '{request.job}'"
    for run in client.search_runs([experiment_id], mine):
        if run.info.status == "FINISHED" and run.data.tags.get(KEY) == key and RESULT in run.data.tags:
            raise Repeated(run.info.run_id, run.data.tags[RESULT])
        if run.info.status == "RUNNING":
            client.set_tag(run.info.run_id, FAILURE, "its pod ended without a word; another attempt followed")
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.FAILED))


def _tags(request: Request) -> dict[str, str]:
    tags = dict(request.tags)
    tags |= {f"version.{name}": number for name, number in versions().items()}
    tags |= {
        "version.python": platform.python_version(),
        "code_digest": code_digest(),
        "point": request.parameters.point,
        "model": request.model,
    }
    tags |= {key: value for key, value in _origin(os.environ).items() if value}
    if request.data.startswith("s3://"):
        tags["data_uri"] = request.data
    if request.sweep:
        tags["sweep"] = request.sweep
    if request.job:
        tags["job"] = request.job
    if request.parent:
        tags["mlflow.parentRunId"] = request.parent
    return tags


@cache
def code_digest() -> str:
    """Sixteen hex digits of this program's own files: what a git revision does not say of a working tree."""
    sha = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(file.name.encode() + b"\0" + file.read_bytes())
    return sha.hexdigest()[:16]


def _origin(env: Mapping[str, str]) -> dict[str, str]:
    return {
        "mlflow.source.name": "python -m training",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": env.get("GIT_REVISION", ""),
        "mlflow.user": env.get("MLFLOW_USER", ""),
    }
