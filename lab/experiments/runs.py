"""Runs as a list, and one run by what people call it: its id, the beginning of its id, or its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.errors import LabError
from lab.experiments import dead
from lab.experiments.mlflow import Place, Run
from lab.messages import t


@dataclass(frozen=True)
class Listed:
    """A run with what only the registry knows: the version made of it, "" where none was, and whether that is the champion."""

    run: Run
    experiment: str
    version: str
    champion: bool

    def as_json(self) -> dict[str, Any]:
        return {
            **vars(self.run),
            "experiment": self.experiment,
            "version": self.version,
            "champion": self.champion,
        }


def listed(place: Place, *, experiment: str = "", sweep: str = "", most: int = 30) -> list[Listed]:
    """The newest first. Runs whose Job is over are ended in MLflow on the way."""
    mlflow = place.mlflow()
    names = mlflow.experiments()
    chosen = [id_ for id_, name in names.items() if experiment in ("", name)]
    if experiment and not chosen:
        raise LabError(
            t("no experiment {experiment!r} in {namespace}", experiment=experiment, namespace=place.namespace),
            t("known: {names}", names=", ".join(sorted(names.values()))),
        )
    found = mlflow.runs(chosen, f"tags.sweep = '{sweep}'" if sweep else "", most=most)
    made = {one.run_id: one for model in _models(found) for one in mlflow.versions(model)}
    return [
        Listed(
            run=run,
            experiment=names.get(run.experiment_id, run.experiment_id),
            version=made[run.id].version if run.id in made else "",
            champion=run.id in made and made[run.id].champion,
        )
        for run in dead.reconcile(place, found)
    ]


def _models(runs: Sequence[Run]) -> set[str]:
    """The registered models these runs were for."""
    return {run.tags.get("model", "iris") for run in runs}


def find(place: Place, text: str) -> Run:
    """Raise LabError where no run, or more than one, is meant."""
    if len(text) == 32 and text.isalnum() and (run := place.mlflow().run(text)):
        return run
    mlflow = place.mlflow()
    return pick(mlflow.runs(list(mlflow.experiments())), text, option=place.option)


def pick(runs: Sequence[Run], text: str, *, option: str = "") -> Run:
    """The run whose id begins with `text` (four characters at least), or that is called so; of equal names the newest."""
    by_id = [run for run in runs if len(text) >= 4 and run.id.startswith(text.lower())]
    if len(by_id) > 1:
        raise LabError(
            t("{text!r} begins {by_id} runs' ids", text=text, by_id=len(by_id)),
            t("for example: {id}", id=by_id[0].id[: len(text) + 4]),
        )
    found = by_id or [run for run in runs if run.name == text]
    if not found:
        raise LabError(t("no run {text!r}", text=text), t("the runs there are: ./inv runs{option}", option=option))
    return found[0]
