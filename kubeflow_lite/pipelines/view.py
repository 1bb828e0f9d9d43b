"""From Jobs and runs to rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kubeflow_lite.objects import Object, metadata, name, namespace
from kubeflow_lite.pipelines.mlflow import Run
from kubeflow_lite.pipelines.rows import RunRow, row
from kubeflow_lite.web import words

SHOWN = 50
TOLD = 6


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
class View:
    jobs: tuple[JobRow, ...]
    runs: tuple[RunRow, ...]
    at: datetime
    problem: str = ""
    """Why there are no runs to show."""

    def age(self, text: str) -> str:
        return words.age(text, self.at)


def view(jobs: Sequence[Object], runs: Sequence[Run], *, at: datetime, problem: str = "") -> View:
    latest = sorted(jobs, key=lambda job: str(metadata(job).get("creationTimestamp")), reverse=True)[:SHOWN]
    return View(tuple(_job(job, at) for job in latest), tuple(row(run, parameters=TOLD) for run in runs), at, problem)


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
