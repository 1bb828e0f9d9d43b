"""What several files ask of a training."""

from __future__ import annotations

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from training.arguments import Request, parse

FAST = ["--n-estimators", "10", "--folds", "2"]


def request_for(model: str, *arguments: str, job: str = "") -> Request:
    """A quick training for a registered model and an experiment of the test's own."""
    return parse([*FAST, "--model-name", model, "--experiment", model, *arguments], job=job)


def only_run(client: MlflowClient, experiment: str) -> Run:
    """The one run of an experiment."""
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    return run


def versions(client: MlflowClient, model: str) -> list[ModelVersion]:
    """Of a registered model, the newest first."""
    return list(client.search_model_versions(f"name = '{model}'"))
