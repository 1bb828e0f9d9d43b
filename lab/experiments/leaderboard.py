"""The points of a sweep and how they are doing, from what MLflow and the Job say. Pure.

The best is the one with the best mean accuracy over the folds, and of equals the smallest forest: the test set is for the comparison with
the champion, and a choice made on it would be paid for with an accuracy that is too good to be true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.experiments.mlflow import Run
from lab.messages import t
from training.arguments import Parameters

State = Literal["waiting", "running", "finished", "failed"]
RANK = "cv_accuracy_mean"


@dataclass(frozen=True)
class Row:
    """One point. `run` is its finished run where there is one, else its latest; `failure` says why it failed."""

    parameters: Parameters
    state: State
    run: Run | None
    attempts: int = 0
    failure: str = ""

    @property
    def score(self) -> float | None:
        """Mean accuracy over the folds, once it is finished."""
        return self.run.metrics.get(RANK) if self.run and self.state == "finished" else None

    def as_json(self) -> dict[str, Any]:
        return {
            "parameters": vars(self.parameters),
            "state": self.state,
            "run_id": self.run.id if self.run else "",
            "metrics": dict(self.run.metrics) if self.run else {},
            "attempts": self.attempts,
            "failure": self.failure,
        }


def rows(
    points: Sequence[Parameters], runs: Sequence[Run], *, running: set[str], failed: Mapping[str, str]
) -> list[Row]:
    """One a point, in their order. `running` and `failed` (with reasons) are points as the Job says of its pods."""
    by_point: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda one: one.started):
        by_point.setdefault(run.tags.get("point", ""), []).append(run)
    return [_row(one, by_point.get(one.point, []), running, failed) for one in points]


def _row(parameters: Parameters, runs: Sequence[Run], running: set[str], failed: Mapping[str, str]) -> Row:
    finished = next((run for run in reversed(runs) if run.status == "FINISHED"), None)
    latest = finished or (runs[-1] if runs else None)
    if finished:
        state: State = "finished"
    elif parameters.point in running or (latest is not None and latest.status == "RUNNING"):
        state = "running"
    elif parameters.point in failed:
        state = "failed"
    else:
        state = "waiting"
    words = (latest.tags.get("failure", "") if latest else "") or failed.get(parameters.point, "")
    return Row(parameters, state, latest, len(runs), words if state == "failed" else "")


def ranked(found: Sequence[Row]) -> list[Row]:
    """The finished points, the best first; then the others as they were."""
    finished = [row for row in found if row.score is not None]
    return [*sorted(finished, key=_rank), *(row for row in found if row.score is None)]


def _rank(row: Row) -> tuple[float, int, int]:
    depth = row.parameters.max_depth
    return -(row.score or 0.0), row.parameters.n_estimators, 10_000 if depth is None else depth


def counts(found: Sequence[Row]) -> str:
    """ "4 of 9 finished, 3 running, 2 waiting"."""
    number = {state: sum(row.state == state for row in found) for state in ("running", "waiting", "failed")}
    done = sum(row.state == "finished" for row in found)
    return ", ".join(
        [
            t("{done} of {found} finished", done=done, found=len(found)),
            *(f"{n} {state}" for state, n in number.items() if n),
        ]
    )
