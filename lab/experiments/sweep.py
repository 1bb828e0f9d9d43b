"""`invoke sweep`: a grid of trainings as one Indexed Job, watched, ranked, and the best made champion where it beats the one there is.

Everything a sweep is lies in the cluster: its Job, its runs, and a parent run that holds them together. So the lab may be interrupted
anywhere; the same command finds the parent by the sweep's name, watches the Job if it still runs, and trains only the points that no
finished run has (the training itself looks once more, by parameters and data, before it begins).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.experiments import dead, grid, job, leaderboard, promote, tables, training
from lab.experiments.leaderboard import Row
from lab.experiments.mlflow import Mlflow, Place, Run
from lab.kube import Object, ready
from lab.messages import t
from training.arguments import Parameters
from training.results import Promoted

PARENT, DATA, OUTCOME = "sweep_parent", "sweep_data", "sweep_outcome"
LOOK_SECONDS = 0.7
Show = Callable[[Sequence[Row]], None]


@dataclass(frozen=True)
class Options:
    """What the user asked for. `data` is a CSV file on this machine, "" for iris; `name` is "" for one made of grid and data."""

    grids: tuple[str, ...]
    parallel: int = 3
    name: str = ""
    experiment: str = "iris"
    model: str = "iris"
    data: str = ""


@dataclass(frozen=True)
class Outcome:
    """A sweep that has come to its end. `repeated`: points that were finished before this command; `promoted`: None where nothing finished."""

    name: str
    experiment: str
    parent_run: str
    rows: tuple[Row, ...]
    repeated: int
    best: Row | None
    promoted: Promoted | None
    seconds: float

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.state != "finished"]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "experiment": self.experiment,
            "parent_run": self.parent_run,
            "rows": [row.as_json() for row in leaderboard.ranked(self.rows)],
            "repeated": self.repeated,
            "best": self.best.run.id if self.best and self.best.run else "",
            "promoted": asdict(self.promoted) if self.promoted else None,
            "seconds": self.seconds,
        }


@dataclass
class Sweep:
    """A sweep under way."""

    place: Place
    name: str
    experiment: str
    points: list[Parameters]
    mlflow: Mlflow
    parent: Run
    latest: Object | None = field(default=None)

    def runs(self) -> list[Run]:
        return self.mlflow.runs([self.parent.experiment_id], f"tags.sweep = '{self.name}'")

    def jobs(self) -> list[Object]:
        """This sweep's, the newest last."""
        found = self.place.cluster.list("batch/v1", "Job", self.place.namespace, labels=f"{job.LABEL}={self.name}")
        return sorted(found, key=lambda one: str(one["metadata"]["creationTimestamp"]))

    def rows(self) -> list[Row]:
        """Every point as it is now."""
        if self.latest is None:
            return leaderboard.rows(self.points, self.runs(), running=set(), failed={})
        names = dict(enumerate(job.points(self.latest)))
        pods = self.pods(self.latest)
        running = {names[index] for pod in pods if (index := _index(pod)) in names and _runs(pod)}
        over = job.over(self.latest)
        failed = {names[index]: _why(pods, index) for index in job.given_up(self.latest) if index in names}
        if over:
            failed = {name: failed.get(name, _reason(self.latest)) for name in names.values()}
        found = dead.reconcile(self.place, self.runs()) if over else self.runs()
        return leaderboard.rows(self.points, found, running=set() if over else running, failed=failed)

    def pods(self, made: Object) -> list[Object]:
        name = made["metadata"]["name"]
        return self.place.cluster.list("v1", "Pod", self.place.namespace, labels=f"batch.kubernetes.io/job-name={name}")


def run(place: Place, options: Options, *, say: training.Say, show: Show) -> Outcome:
    """Raises LabError for a grid or a table that cannot be used, before anything is made."""
    started = time.monotonic()
    if not 1 <= options.parallel <= 64:
        raise LabError(t("--parallel {parallel} is not from 1 to 64", parallel=options.parallel), t(grid.EXAMPLE))
    points = grid.points(options.grids)
    folds = max(one.folds for one in points)
    sent = tables.send(place, Path(options.data), folds=folds) if options.data else None
    data = sent.sha256 if sent else "iris"
    name = grid.checked_name(options.name) if options.name else grid.name(points, data=data)
    arguments = ["--experiment", options.experiment, "--model-name", options.model, "--no-register"]
    training.checked(arguments)
    sweep = begin(place, name, options.experiment, points, data=data)
    repeated = sum(row.state == "finished" for row in sweep.rows())
    say(
        t("sweep {name}: {points} points", name=name, points=len(points))
        + (t(", {repeated} of them finished before", repeated=repeated) if repeated else "")
    )
    arguments += ["--parent-run", sweep.parent.id, *(sent.arguments() if sent else [])]
    _go_on(sweep, arguments, options.parallel, say=say, show=show)
    _record_image(sweep)
    rows = sweep.rows()
    show(rows)
    best = next((row for row in leaderboard.ranked(rows) if row.score is not None), None)
    promoted = _promote(sweep, best, options.model, say) if best else None
    _end(sweep, rows, best, promoted)
    seconds = round(time.monotonic() - started, 1)
    return Outcome(name, options.experiment, sweep.parent.id, tuple(rows), repeated, best, promoted, seconds)


def begin(place: Place, name: str, experiment: str, points: list[Parameters], *, data: str) -> Sweep:
    """Find the parent run of that name, or make it. Raises LabError where the name is another table's."""
    mlflow = place.mlflow()
    experiment_id = mlflow.ensure_experiment(experiment)
    known = mlflow.runs([experiment_id], f"tags.{PARENT} = '{name}'", most=1)
    if known:
        (parent,) = known
        if parent.tags.get(DATA) != data:
            raise LabError(
                t("sweep {name!r} was made with another table", name=name), t("give this one another --name")
            )
        if parent.status != "RUNNING":
            mlflow.end(parent.id, "RUNNING")
    else:
        tags = {PARENT: name, DATA: data, "mlflow.source.type": "JOB", "mlflow.source.name": "./inv sweep"}
        parent = mlflow.create_run(experiment_id, name, tags)
    return Sweep(place, name, experiment, points, mlflow, parent)


def _go_on(sweep: Sweep, arguments: Sequence[str], parallel: int, *, say: training.Say, show: Show) -> None:
    """Watch the Job that runs, if one does; then train what is missing still."""
    active = [one for one in sweep.jobs() if not job.over(one)]
    if active:
        say(
            t(
                "Job {name} in {namespace} is at it already",
                name=active[-1]["metadata"]["name"],
                namespace=sweep.place.namespace,
            )
        )
        _set_parallel(sweep.place, active[-1], parallel)
        _follow(sweep, active[-1], show)
    missing = [row.parameters.point for row in sweep.rows() if row.state != "finished"]
    if missing:
        _follow(sweep, _create(sweep, missing, arguments, parallel, say), show)


def _create(sweep: Sweep, missing: Sequence[str], arguments: Sequence[str], parallel: int, say: training.Say) -> Object:
    place, wanted = sweep.place, min(parallel, len(missing))
    plan = job.Wanted(sweep.name, tuple(missing), tuple(arguments), wanted)
    made = job.manifest(plan, place)
    room, why = job.at_once(wanted, made, place.cluster.list("v1", "ResourceQuota", place.namespace))
    if room < 1:
        hint = f"kubectl describe resourcequota -n {place.namespace}; ./inv runs{place.option}"
        raise LabError(t("no room for a training in {namespace}: {why}", namespace=place.namespace, why=why), hint)
    if room < wanted:
        say(t("{room} at a time, not {wanted}: quota {why}", room=room, wanted=wanted, why=why))
        made = job.manifest(job.Wanted(sweep.name, tuple(missing), tuple(arguments), room), place)
    created = training.create(place.cluster, made)
    say(
        t(
            "Job {name} in {namespace}: {missing} points, {wanted} at a time",
            name=created["metadata"]["name"],
            namespace=place.namespace,
            missing=len(missing),
            wanted=min(room, wanted),
        )
    )
    return created


def _set_parallel(place: Place, made: Object, parallel: int) -> None:
    if made["spec"].get("parallelism") != parallel:
        patch = {"spec": {"parallelism": parallel}}
        place.cluster.patch("batch/v1", "Job", made["metadata"]["name"], patch, place.namespace)


def _follow(sweep: Sweep, made: Object, show: Show) -> None:
    """Until the Job is over. Raises LabError where it was deleted, or waits for what will not come."""
    name, place = made["metadata"]["name"], sweep.place
    while True:
        found = place.cluster.find("batch/v1", "Job", name, place.namespace)
        if found is None:
            raise LabError(
                t("Job {name} in {namespace} was deleted", name=name, namespace=place.namespace),
                t("the same ./inv sweep goes on where it was"),
            )
        sweep.latest = found
        show(sweep.rows())
        if job.over(found):
            return
        pods = sweep.pods(found)
        if training.hopeless(pods):
            raise LabError(
                t("Job {name} does not start: {why}", name=name, why="; ".join(ready.explain(pods, []))), "./inv doctor"
            )
        place.cluster.pause(LOOK_SECONDS, t("Job {name} in {namespace} to end", name=name, namespace=place.namespace))


def _record_image(sweep: Sweep) -> None:
    """What the node ran, in every run of the Job that was watched: a container cannot see its own image's digest."""
    if sweep.latest is None:
        return
    name = sweep.latest["metadata"]["name"]
    image = training.image_digest(sweep.place.cluster, name, sweep.place.namespace)
    for run in sweep.runs():
        if image and run.tags.get("job") == name and "image_digest" not in run.tags:
            sweep.mlflow.log(run.id, tags={"image_digest": image})


def _index(pod: Object) -> int:
    annotations = pod["metadata"].get("annotations") or {}
    return int(annotations.get(job.INDEX, -1))


def _runs(pod: Object) -> bool:
    return str(pod["status"].get("phase")) == "Running"


def _why(pods: Sequence[Object], index: int) -> str:
    """What the node says of an index's last pod."""
    for pod in reversed([one for one in pods if _index(one) == index]):
        for status in pod["status"].get("containerStatuses") or []:
            if ended := status.get("state", {}).get("terminated"):
                return t(
                    "its pod ended with {code} ({reason})", code=ended.get("exitCode"), reason=ended.get("reason", "")
                )
    return t("its pod is gone")


def _reason(made: Object) -> str:
    condition = ready.condition(made, "Failed")
    return str(condition.get("message") or condition.get("reason") or t("its Job ended without it"))


def _promote(sweep: Sweep, best: Row, model: str, say: training.Say) -> Promoted | None:
    """Past the champion's score only; what was decided for this very run is not asked again."""
    assert best.run is not None
    known = sweep.parent.tags.get(OUTCOME, "")
    if known and json.loads(known)["run_id"] == best.run.id:
        return Promoted(**json.loads(known))
    return promote.move(sweep.place, ["--run", best.run.id, "--if-better"], model=model, say=say)


def _end(sweep: Sweep, rows: Sequence[Row], best: Row | None, promoted: Promoted | None) -> None:
    """Close the parent run: what came out, FINISHED where every point did."""
    metrics = {"points": float(len(rows)), "points_finished": float(sum(row.state == "finished" for row in rows))}
    tags = {}
    if best and best.run:
        tags["best_run"] = best.run.id
        metrics |= {f"best_{key}": best.run.metrics[key] for key in ("accuracy", leaderboard.RANK)}
    if promoted:
        tags[OUTCOME] = json.dumps(asdict(promoted))
    sweep.mlflow.log(sweep.parent.id, tags=tags, metrics=metrics)
    sweep.mlflow.end(sweep.parent.id, "FINISHED" if all(row.state == "finished" for row in rows) else "FAILED")
