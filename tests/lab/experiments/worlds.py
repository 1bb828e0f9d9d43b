"""A place whose cluster and MLflow are kept in memory: enough of both to run a sweep from its first request to its last."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from lab.experiments.job import INDEX, points
from lab.experiments.mlflow import Mlflow, Place, Run
from lab.kube import Cluster, Kind, Object, Refused
from lab.world import World
from training.arguments import point

IMAGE = "sha256:of-a-test"
Train = Callable[[str], Mapping[str, float] | str]


def run(number: int, **changes: Any) -> Run:
    """A finished run; ids are 32 hex digits that begin with the number."""
    made = Run(
        id=f"{number:04x}{number:028x}",
        name=f"run-{number}",
        experiment_id="1",
        status="FINISHED",
        started=float(number),
        ended=number + 2.0,
        params={},
        metrics={},
        tags={},
    )
    return Run(**{**vars(made), **changes})


class Books(Mlflow):
    """MLflow's runs, kept here."""

    def __init__(self) -> None:
        self.kept: dict[str, Run] = {}
        self.numbers = itertools.count(1)

    def experiment(self, name: str) -> str | None:
        return "1"

    def experiments(self) -> dict[str, str]:
        return {"1": "iris"}

    def runs(self, experiments: Sequence[str], filter_: str = "", *, most: int = 1000) -> list[Run]:
        wanted = re.findall(r"(tags|attributes)\.(\w+) = '([^']*)'", filter_)
        found = [one for one in self.kept.values() if all(_value(one, *pair[:2]) == pair[2] for pair in wanted)]
        return sorted(found, key=lambda one: -one.started)[:most]

    def run(self, run_id: str) -> Run | None:
        return self.kept.get(run_id)

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> Run:
        number = next(self.numbers)
        return self.keep(run(number, name=name, status="RUNNING", ended=0.0, tags=dict(tags)))

    def log(self, run_id: str, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        old = self.kept[run_id]
        self.change(run_id, tags={**old.tags, **tags}, metrics={**old.metrics, **(metrics or {})})

    def end(self, run_id: str, status: str) -> None:
        self.change(run_id, status=status)

    def change(self, run_id: str, **changes: Any) -> None:
        self.kept[run_id] = Run(**{**vars(self.kept[run_id]), **changes})

    def keep(self, made: Run) -> Run:
        self.kept[made.id] = made
        return made


def _value(one: Run, kind: str, key: str) -> str:
    return one.tags.get(key, "") if kind == "tags" else str(getattr(one, key))


class Machine(Cluster):
    """Takes Jobs, and ends one more point of each whenever a Job is looked at. `train` gives a point's metrics, or why it fails."""

    def __init__(self, books: Books, train: Train) -> None:
        super().__init__(Path("/nonexistent"))
        self.books, self.train = books, train
        self.jobs: dict[str, Object] = {}
        self.quotas: list[Object] = []
        self.trained: list[str] = []
        self.promotions: list[list[str]] = []
        self.look: Callable[[Object], None] = lambda job: None

    def kind(self, api_version: str, kind: str) -> Kind:
        return Kind(api_version, f"{kind.lower()}s", True)

    def create(self, manifest: Object, *, namespace: str = "") -> Object:
        name = f"{manifest['metadata']['generateName']}{len(self.jobs)}"
        meta = {**manifest["metadata"], "name": name, "creationTimestamp": f"2026-01-01T00:00:{len(self.jobs):02d}Z"}
        made = {**manifest, "metadata": meta, "status": {}}
        self.jobs[name] = made
        return made

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        job = self.jobs.get(name)
        if job is not None and not job["status"].get("conditions"):
            self.step(job)
            self.look(job)
        return self.jobs.get(name)

    def list(self, api_version: str, kind: str, namespace: str = "", *, labels: str = "") -> list[Object]:
        if kind == "ResourceQuota":
            return self.quotas
        if kind == "Job":
            key, _, value = labels.partition("=")
            return [job for job in self.jobs.values() if not labels or job["metadata"]["labels"].get(key) == value]
        job = self.jobs.get(labels.partition("=")[2])
        return [_pod(index) for index in job["status"].get("done", [])] if job else []

    def patch(
        self, api_version: str, kind: str, name: str, patch: object, namespace: str = "", *, subresource: str = ""
    ) -> Object:
        changes = cast(Object, patch)
        self.jobs[name]["spec"] |= changes["spec"]
        return self.jobs[name]

    def lines(self, path: str, query: Mapping[str, str], *, silence: float | None = None) -> Iterator[str]:
        raise Refused("no log", code=404, reason="NotFound")

    def step(self, job: Object) -> None:
        """Train the next index of a sweep's Job."""
        status, plan = job["status"], points(job)
        done = status.setdefault("done", [])
        if len(done) < len(plan):
            self._train(job, len(done), plan[len(done)])
            done.append(len(done))
        if len(done) == len(plan):
            kind = "Failed" if status.get("failedIndexes") else "Complete"
            status["conditions"] = [{"type": kind, "status": "True", "reason": "Test", "message": "of a test"}]

    def _train(self, job: Object, index: int, plan: str) -> None:
        self.trained.append(plan)
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        sweep = arguments[arguments.index("--sweep") + 1]
        answer = self.train(plan)
        tags = {"sweep": sweep, "point": plan, "job": job["metadata"]["name"]}
        made = self.books.create_run("1", f"{sweep}-{index}", tags)
        if isinstance(answer, str):
            failed = job["status"].get("failedIndexes")
            job["status"]["failedIndexes"] = f"{failed},{index}" if failed else str(index)
            self.books.log(made.id, tags={"failure": answer})
            self.books.end(made.id, "FAILED")
            return
        parameters = point(plan)
        self.books.change(made.id, status="FINISHED", metrics=dict(answer), params=parameters.texts())


def _pod(index: int) -> Object:
    meta = {"name": f"pod-{index}", "annotations": {INDEX: str(index)}}
    return {
        "metadata": meta,
        "status": {"phase": "Succeeded", "containerStatuses": [{"name": "training", "imageID": IMAGE}]},
    }


class Here(Place):
    """A place of these two."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(cast(World, None), None)
        object.__setattr__(self, "machine", machine)

    @cached_property
    def cluster(self) -> Cluster:
        machine: Machine = self.machine  # type: ignore[attr-defined]
        return machine

    def mlflow(self) -> Mlflow:
        machine: Machine = self.machine  # type: ignore[attr-defined]
        return machine.books
