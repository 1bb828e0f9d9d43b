"""Runs that are RUNNING in MLflow though what trained them is gone: kill -9 leaves nobody to say so but the Job.

A Job that has failed, is complete or was deleted trains nothing any more, so a run of it that still says RUNNING is FAILED, with the Job's
reason in its tag `failure`, where a student looks. Called where a Job is seen to fail, and by `invoke runs` for those nobody watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.errors import LabError
from lab.experiments.mlflow import Place, Run
from lab.kube import Object, ready
from lab.messages import t

FAILURE = "failure"


def bury(place: Place, job: str, *, reason: str) -> list[str]:
    """End the runs of a Job that has ended; returns their ids. Best effort: the failure that is being told already comes first."""
    try:
        if verdict(job, place.cluster.find("batch/v1", "Job", job, place.namespace)) is None:
            return []
        mlflow = place.mlflow()
        mine = f"tags.job = '{job}' and attributes.status = 'RUNNING'"
        lost = mlflow.runs(list(mlflow.experiments()), mine)
        for run in lost:
            mlflow.log(run.id, tags={FAILURE: reason[:5000]})
            mlflow.end(run.id, "FAILED")
    except LabError:
        return []
    return [run.id for run in lost]


def reconcile(place: Place, runs: Sequence[Run]) -> list[Run]:
    """The same runs as they are: those whose Job is over are ended in MLflow, too."""
    doubtful = {run.tags["job"] for run in runs if run.status == "RUNNING" and "job" in run.tags}
    if not doubtful:
        return list(runs)
    jobs = {job["metadata"]["name"]: job for job in place.cluster.list("batch/v1", "Job", place.namespace)}
    over = {name: words for name in doubtful if (words := verdict(name, jobs.get(name)))}
    # Asked again: a run may have ended between the look at it and the look at its Job.
    mlflow, known = place.mlflow(), {}
    for run in runs:
        if run.status == "RUNNING" and (words := over.get(run.tags.get("job", ""))):
            now = mlflow.run(run.id) or run
            known[run.id] = _end(place, now, words) if now.status == "RUNNING" else now
    return [known.get(run.id, run) for run in runs]


def verdict(name: str, job: Object | None) -> str | None:
    """Why a run of this Job cannot be running; None where it can."""
    if job is None:
        return t("its pod ended without a word: Job {name} was deleted", name=name)
    for kind in ("Failed", "Complete"):
        condition = ready.condition(job, kind)
        if condition.get("status") == "True":
            return t(
                "its pod ended without a word: Job {name} is {state} ({reason})",
                name=name,
                state=kind.lower(),
                reason=condition.get("reason") or t("no reason"),
            )
    return None


def _end(place: Place, run: Run, words: str) -> Run:
    mlflow = place.mlflow()
    mlflow.log(run.id, tags={FAILURE: words})
    mlflow.end(run.id, "FAILED")
    return replace(run, status="FAILED", tags={**run.tags, FAILURE: words})
