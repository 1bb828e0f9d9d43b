"""A sweep from its first request to its last, on a cluster in memory: what is trained, what is not trained again, what becomes champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lab.errors import LabError
from lab.experiments import job, promote, sweep
from lab.experiments.leaderboard import Row
from lab.experiments.sweep import Options, Outcome
from lab.kube import Object
from tests.lab.experiments.worlds import IMAGE, Books, Here, Machine
from training.arguments import point
from training.results import Promoted

GRID = Options(grids=("n_estimators=50,100,200", "max_depth=5,none"), parallel=3, name="a-sweep")


def scored(plan: str) -> Mapping[str, float] | str:
    """200 trees are the best, 50 with depth 5 as good as 100; the deepest are better on the test set."""
    found = point(plan)
    return {"cv_accuracy_mean": 0.9 + found.n_estimators / 10_000, "accuracy": 0.95 if found.max_depth else 0.97}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(Books(), scored)

    def move(place: object, which: Sequence[str], *, model: str, say: object) -> Promoted:
        made.promotions.append(list(which))
        return Promoted(model, "7", which[1], True, "3", "", "digest", 9)

    monkeypatch.setattr(promote, "move", move)
    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0)
    return made


def go(machine: Machine, options: Options = GRID) -> tuple[Outcome, list[str], list[Sequence[Row]]]:
    said: list[str] = []
    shown: list[Sequence[Row]] = []
    return sweep.run(Here(machine), options, say=said.append, show=shown.append), said, shown


def test_every_point_is_trained_once_and_the_best_is_offered_as_champion(machine: Machine) -> None:
    outcome, said, shown = go(machine)
    assert len(machine.trained) == len(set(machine.trained)) == 6
    assert [row.state for row in outcome.rows] == ["finished"] * 6
    assert outcome.best is not None
    # Of the two with 200 trees, equal over the folds, the smaller forest; not the one that is better on the test set.
    assert outcome.best.parameters == point("n_estimators=200,max_depth=5")
    assert outcome.best.run is not None
    assert machine.promotions == [["--run", outcome.best.run.id, "--if-better"]]
    assert {row.run.tags["image_digest"] for row in outcome.rows if row.run} == {IMAGE}
    assert said[0] == "sweep a-sweep: 6 points"
    assert [sum(row.state == "finished" for row in rows) for rows in shown] == [1, 2, 3, 4, 5, 6, 6]
    parent = machine.books.kept[outcome.parent_run]
    assert (parent.status, parent.metrics["points_finished"], parent.tags["best_run"]) == (
        "FINISHED",
        6,
        outcome.best.run.id,
    )


def test_the_job_is_indexed_and_says_what_it_tries(machine: Machine) -> None:
    go(machine)
    (made,) = machine.jobs.values()
    spec, container = made["spec"], made["spec"]["template"]["spec"]["containers"][0]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 6, 3)
    assert (spec["backoffLimitPerIndex"], "backoffLimit" in spec) == (1, False)
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["FailIndex"]
    assert container["args"].count("--point") == 6
    assert container["args"][container["args"].index("--index") :][:2] == ["--index", "$(JOB_COMPLETION_INDEX)"]
    assert "--no-register" in container["args"]
    assert made["metadata"]["labels"][job.LABEL] == "a-sweep"


def test_the_same_command_again_trains_nothing_and_asks_nothing_again(machine: Machine) -> None:
    first, _, _ = go(machine)
    again, said, _ = go(machine)
    assert len(machine.trained) == 6
    assert len(machine.promotions) == 1
    assert (again.repeated, again.parent_run, again.promoted) == (6, first.parent_run, first.promoted)
    assert said == ["sweep a-sweep: 6 points, 6 of them finished before"]


def test_interrupted_it_goes_on_with_the_job_that_runs(machine: Machine) -> None:
    def interrupt(made: Object) -> None:
        if len(made["status"]["done"]) == 2:
            raise KeyboardInterrupt

    machine.look = interrupt
    with pytest.raises(KeyboardInterrupt):
        go(machine)
    machine.look = lambda made: None
    outcome, said, _ = go(machine, Options(grids=GRID.grids, parallel=2, name="a-sweep"))
    (made,) = machine.jobs.values()
    assert len(machine.trained) == 6
    assert outcome.repeated == 2
    assert "is at it already" in said[1]
    assert made["spec"]["parallelism"] == 2


def test_with_its_job_gone_only_what_is_missing_is_trained(machine: Machine) -> None:
    def delete(made: Object) -> None:
        if len(made["status"]["done"]) == 4:
            machine.jobs.clear()

    machine.look = delete
    with pytest.raises(LabError, match=r"Job a-sweep-0 in mlops-training was deleted") as refused:
        go(machine)
    assert "goes on where it was" in refused.value.hint
    machine.look = lambda made: None
    go(machine)
    assert len(machine.trained) == len(set(machine.trained)) == 6
    (made,) = machine.jobs.values()
    assert len(job.points(made)) == 2


def test_a_point_that_fails_does_not_stop_the_others(machine: Machine) -> None:
    machine.train = lambda plan: "the forms differ" if "n_estimators=100,max_depth=5" in plan else scored(plan)
    outcome, _, _ = go(machine)
    (failed,) = outcome.failed
    assert (failed.parameters.n_estimators, failed.state, failed.failure) == (100, "failed", "the forms differ")
    assert len(machine.trained) == 6
    assert machine.books.kept[outcome.parent_run].status == "FAILED"
    machine.train = scored
    again, _, _ = go(machine)
    assert again.failed == []
    assert len(machine.trained) == 7
    assert machine.books.kept[outcome.parent_run].status == "FINISHED"


def test_a_larger_grid_of_the_same_name_trains_the_new_points(machine: Machine) -> None:
    go(machine)
    outcome, _, _ = go(machine, Options(grids=("n_estimators=50,100,200", "max_depth=5,10,none"), name="a-sweep"))
    assert outcome.repeated == 6
    assert len(machine.trained) == 9


def test_a_name_stands_for_one_table(machine: Machine) -> None:
    go(machine)
    parent = next(one for one in machine.books.kept.values() if sweep.PARENT in one.tags)
    machine.books.log(parent.id, tags={sweep.DATA: "another"})
    with pytest.raises(LabError, match="sweep 'a-sweep' was made with another table"):
        go(machine)


def quota(**amounts: tuple[str, str]) -> Object:
    status: dict[str, Any] = {"hard": {}, "used": {}}
    for key, (hard, used) in amounts.items():
        status["hard"][key], status["used"][key] = hard, used
    return {"metadata": {"name": "kf-resource-quota"}, "status": status}


def test_the_quota_decides_how_many_run_at_once(machine: Machine) -> None:
    machine.quotas = [quota(cpu=("1200m", "100m"), memory=("16Gi", "256Mi"))]
    _, said, _ = go(machine)
    (made,) = machine.jobs.values()
    assert made["spec"]["parallelism"] == 2
    assert "2 at a time, not 3: quota kf-resource-quota leaves cpu for 2 of them" in said


def test_a_quota_without_room_makes_no_job(machine: Machine) -> None:
    machine.quotas = [quota(memory=("1Gi", "700Mi"))]
    with pytest.raises(
        LabError, match="no room for a training in mlops-training: kf-resource-quota leaves memory for 0"
    ):
        go(machine)
    assert machine.jobs == {}


@pytest.mark.parametrize("parallel", [0, 65])
def test_nothing_is_made_of_a_wrong_option(machine: Machine, parallel: int) -> None:
    with pytest.raises(LabError, match="is not from 1 to 64"):
        go(machine, Options(grids=GRID.grids, parallel=parallel))
    assert machine.books.kept == {}


@pytest.mark.parametrize(("text", "found"), [("", set()), ("1", {1}), ("0,3-5", {0, 3, 4, 5})])
def test_failed_indexes_are_read_as_kubernetes_writes_them(text: str, found: set[int]) -> None:
    assert job.given_up({"status": {"failedIndexes": text}}) == found
