"""From Jobs and runs to rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubeflow_lite.objects import Object, metadata, name, namespace
from kubeflow_lite.pipelines.mlflow import Run
from kubeflow_lite.web import words

SHOWN = 50
_METRICS = {
    "accuracy": ("test_accuracy", "accuracy", "cv_accuracy_mean"),
    "f1": ("test_f1", "f1", "f1_macro", "test_f1_macro"),
}


@dataclass(frozen=True)
class JobRow:
    name: str
    namespace: str
    good: bool
    state: str
    reason: str
    run_name: str
    parameters: str
    started: str
    took: str


@dataclass(frozen=True)
class RunRow:
    name: str
    experiment: str
    good: bool
    state: str
    accuracy: str
    f1: str
    parameters: str
    started: str
    took: str


@dataclass(frozen=True)
class View:
    jobs: tuple[JobRow, ...]
    runs: tuple[RunRow, ...]
    problem: str = ""
    """Why there are no runs to show."""


def view(jobs: Sequence[Object], runs: Sequence[Run], *, at: datetime, problem: str = "") -> View:
    latest = sorted(jobs, key=lambda job: str(metadata(job).get("creationTimestamp")), reverse=True)[:SHOWN]
    return View(tuple(_job(job, at) for job in latest), tuple(_run(run, at) for run in runs), problem)


def _job(job: Object, at: datetime) -> JobRow:
    status: Object = job.get("status") or {}
    state, reason = _state(status)
    flags = _flags(job["spec"]["template"]["spec"]["containers"][0].get("args") or [])
    started = words.moment(status.get("startTime"))
    ended = words.moment(status.get("completionTime") or _failed_at(status)) or at
    return JobRow(
        name=name(job),
        namespace=namespace(job),
        good=state != "failed",
        state=state,
        reason=reason,
        run_name=flags.pop("run-name", ""),
        parameters=", ".join(f"{flag}={value}" for flag, value in flags.items()),
        started=f"{words.duration((at - started).total_seconds())} ago" if started else "not yet",
        took=words.duration((ended - started).total_seconds()) if started else "–",
    )


def _state(status: Object) -> tuple[str, str]:
    """One word, and for a failure Kubernetes's reason."""
    for condition in status.get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed", "Suspended"):
            word = {"Complete": "succeeded", "Failed": "failed", "Suspended": "suspended"}[condition["type"]]
            return word, str(condition.get("reason") or "") if word == "failed" else ""
    return ("running" if status.get("ready") else "starting" if status.get("active") else "pending"), ""


def _failed_at(status: Object) -> str | None:
    failed = (
        one for one in status.get("conditions") or [] if one.get("type") == "Failed" and one.get("status") == "True"
    )
    return next((one.get("lastTransitionTime") for one in failed), None)


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """["--a", "1", "--b=2"] -> {"a": "1", "b": "2"}."""
    flags: dict[str, str] = {}
    waiting = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag, separator, value = argument[2:].partition("=")
            flags[flag] = value if separator else "yes"
            waiting = "" if separator else flag
        elif waiting:
            flags[waiting], waiting = argument, ""
    return flags


def _run(run: Run, at: datetime) -> RunRow:
    started = datetime.fromtimestamp(run.started / 1000, UTC)
    ended = datetime.fromtimestamp(run.ended / 1000, UTC) if run.ended else at
    return RunRow(
        name=run.name,
        experiment=run.experiment,
        good=run.status not in ("FAILED", "KILLED"),
        state=run.status.lower(),
        accuracy=_metric(run.metrics, "accuracy"),
        f1=_metric(run.metrics, "f1"),
        parameters=", ".join(f"{key}={value}" for key, value in sorted(run.parameters.items())[:6]),
        started=f"{words.duration((at - started).total_seconds())} ago",
        took=words.duration((ended - started).total_seconds()),
    )


def _metric(metrics: Mapping[str, float], wanted: str) -> str:
    found = (metrics[key] for key in _METRICS[wanted] if key in metrics)
    return next((f"{value:.4f}" for value in found), "–")
