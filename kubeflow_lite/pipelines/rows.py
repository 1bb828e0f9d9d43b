"""A run as people read it, for the page of runs and for the dashboard. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubeflow_lite.pipelines.mlflow import Run
from kubeflow_lite.web import words

_ACCURACY = ("accuracy", "test_accuracy", "cv_accuracy_mean")
_F1 = ("f1", "f1_macro", "test_f1", "test_f1_macro")
_TOLD = ("n_estimators", "max_depth")


@dataclass(frozen=True)
class RunRow:
    """`at` is when it started (ISO 8601); `took` is empty while it goes on, so that the value changes only when the run does."""

    name: str
    experiment: str
    good: bool
    state: str
    accuracy: str
    f1: str
    parameters: str
    at: str
    took: str


def row(run: Run, *, parameters: int) -> RunRow:
    """With that many of its parameters."""
    return RunRow(
        name=run.name,
        experiment=run.experiment,
        good=run.status not in ("FAILED", "KILLED"),
        state=run.status.lower(),
        accuracy=_figure(accuracy(run)),
        f1=_figure(_metric(run, _F1)),
        parameters=", ".join(f"{key}={run.parameters[key]}" for key in _told(run.parameters)[:parameters]),
        at=datetime.fromtimestamp(run.started / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        took=words.duration((run.ended - run.started) / 1000) if run.ended else "",
    )


def accuracy(run: Run) -> float | None:
    return _metric(run, _ACCURACY)


def _metric(run: Run, names: Sequence[str]) -> float | None:
    return next((run.metrics[key] for key in names if key in run.metrics), None)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _told(parameters: Mapping[str, str]) -> list[str]:
    """What people tell runs apart by comes first; where the data came from is the same for all."""
    known = [key for key in _TOLD if key in parameters]
    return [*known, *(key for key in sorted(parameters) if key not in known and not key.startswith("data"))]
