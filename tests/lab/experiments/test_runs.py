"""Runs by what people call them, side by side, dead, and reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.experiments import dead, reproduce
from lab.experiments.compare import compare
from lab.experiments.mlflow import Place, Run
from lab.experiments.runs import pick
from lab.experiments.tables import check
from tests.lab.experiments.worlds import Books, Here, Machine, run

PARAMS = {"n_estimators": "50", "max_depth": "none", "seed": "42", "test_size": "0.2", "folds": "5"}
DIGESTS = {"model_digest": "a" * 64, "skops_digest": "b" * 64}


def test_a_run_is_found_by_the_beginning_of_its_id_or_by_its_name() -> None:
    runs = [run(0xABCD), run(0xABCE, name="best"), run(3, name="best")]
    assert pick(runs, "abcd") is runs[0]
    assert pick(runs, "best") is runs[1]
    with pytest.raises(LabError, match="no run 'abc'"):
        pick(runs, "abc")
    twins = [run(1, id="abcd1" + "0" * 27), run(2, id="abcd2" + "0" * 27)]
    with pytest.raises(LabError, match="'abcd' begins 2 runs' ids"):
        pick(twins, "abcd")


def test_runs_side_by_side_say_what_differs() -> None:
    left = run(
        1,
        params=PARAMS | {"data": "iris", "data_digest": "d"},
        metrics={"accuracy": 0.9},
        tags={"version.numpy": "2.0"},
    )
    right = run(
        2, params=PARAMS | {"n_estimators": "60", "data": "iris", "data_digest": "d"}, tags={"version.numpy": "2.1"}
    )
    rows = {(row.section, row.name): row for row in compare(left, right)}
    assert rows["parameters", "n_estimators"].differs
    assert not rows["parameters", "seed"].differs
    assert not rows["data", "data_digest"].differs
    assert (rows["metrics", "accuracy"].left, rows["metrics", "accuracy"].right) == ("0.9", "")
    assert rows["packages", "numpy"].differs
    assert list(dict.fromkeys(section for section, _ in rows)) == ["run", "parameters", "data", "metrics", "packages"]


def place_with(job: str, status: dict[str, Any] | None) -> tuple[Place, Books, Run]:
    books = Books()
    machine = Machine(books, lambda plan: {})
    if status is not None:
        machine.jobs[job] = {"metadata": {"name": job, "labels": {}}, "status": status}
    lost = books.keep(run(1, status="RUNNING", ended=0.0, tags={"job": job}))
    return Here(machine), books, lost


FAILED: dict[str, Any] = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (FAILED, "its pod ended without a word: Job iris-x is failed (BackoffLimitExceeded)"),
        (None, "Job iris-x was deleted"),
    ],
)
def test_a_run_whose_job_is_over_does_not_stay_running(status: dict[str, Any] | None, words: str) -> None:
    place, books, lost = place_with("iris-x", status)
    (found,) = dead.reconcile(place, [lost])
    assert found.status == books.kept[lost.id].status == "FAILED"
    assert words in books.kept[lost.id].tags["failure"]


def test_a_run_that_ended_while_it_was_looked_at_keeps_its_end() -> None:
    place, books, lost = place_with("iris-x", FAILED)
    books.end(lost.id, "FINISHED")
    (found,) = dead.reconcile(place, [lost])
    assert found.status == books.kept[lost.id].status == "FINISHED"


def test_a_failed_jobs_run_is_failed_with_the_jobs_reason() -> None:
    place, books, lost = place_with("iris-x", FAILED)
    assert dead.bury(place, "iris-x", reason="killed") == [lost.id]
    assert (books.kept[lost.id].status, books.kept[lost.id].tags["failure"]) == ("FAILED", "killed")


def test_a_run_is_trained_again_with_all_its_parameters_and_its_own_table() -> None:
    tags = DIGESTS | {"data_uri": "s3://bucket/datasets/x.csv"}
    arguments = reproduce.again(run(1, params=PARAMS | {"data": "table.csv"}, tags=tags))
    assert arguments[:5] == ["--n-estimators=50", "--max-depth=none", "--seed=42", "--test-size=0.2", "--folds=5"]
    assert arguments[-4:] == ["--data", "s3://bucket/datasets/x.csv", "--data-name", "table.csv"]
    assert "--no-register" in arguments


@pytest.mark.parametrize(
    ("original", "words"),
    [
        (run(1, status="FAILED", tags=DIGESTS, params=PARAMS), "is FAILED and has no model"),
        (run(1, params=PARAMS), "is FINISHED and has no model"),
        (run(1, tags=DIGESTS), "has no parameter n_estimators, max_depth, seed, test_size, folds"),
        (run(1, tags=DIGESTS, params=PARAMS | {"data": "table.csv"}), "is not kept in S3"),
    ],
)
def test_what_cannot_be_reproduced_is_told(original: Run, words: str) -> None:
    with pytest.raises(LabError, match=words):
        reproduce.again(original)


def test_equal_digests_are_the_same_model_and_other_packages_are_named() -> None:
    first = run(1, tags=DIGESTS | {"version.numpy": "2.0", "version.skops": "0.1"})
    same = reproduce.compared(first, run(2, tags=DIGESTS | {"version.numpy": "2.1", "version.skops": "0.1"}))
    assert same.same
    assert same.differences == (("numpy", "2.0", "2.1"),)
    other = reproduce.compared(first, run(2, tags=DIGESTS | {"model_digest": "c" * 64}))
    assert not other.same
    assert other.forms[0] == ("ONNX", "a" * 64, "c" * 64)


def test_a_table_is_refused_here_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("width,height,kind\n" + "1,2,a\n" * 30)
    with pytest.raises(LabError, match="--data: every row is of the class 'a'") as refused:
        check(path)
    assert "own-data.md" in refused.value.hint
    with pytest.raises(LabError, match=r"--data: cannot read .*none\.csv: No such file"):
        check(tmp_path / "none.csv")
