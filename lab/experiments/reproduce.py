"""`invoke reproduce RUN`: train again with the run's own parameters, seed and data, and compare the models byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import LabError
from lab.experiments import training
from lab.experiments.compare import CODE, packages
from lab.experiments.mlflow import Place, Run
from lab.experiments.runs import find
from lab.messages import t
from training.arguments import NAMES

FORMS = {"model_digest": "ONNX", "skops_digest": "skops"}
IRIS = "sklearn.datasets.load_iris"


@dataclass(frozen=True)
class Reproduced:
    """Two trainings of the same: `same` where both forms of the model have the same bytes. `forms` are (form, SHA-256 then, SHA-256 now);
    `differences` are (what, then, now) of all that may explain a difference, or could have made one and did not."""

    run_id: str
    again: str
    same: bool
    forms: tuple[tuple[str, str, str], ...]
    differences: tuple[tuple[str, str, str], ...]


def reproduce(place: Place, which: str, *, say: training.Say) -> Reproduced:
    """Raises LabError for a run that has no model, or whose data is not kept anywhere."""
    run = find(place, which)
    arguments = training.checked(again(run))
    name = training.create(place.cluster, training.job(arguments, place.tenant))["metadata"]["name"]
    say(
        t(
            "Job {name} in {namespace} trains run {id} ({run_name}) again",
            name=name,
            namespace=place.namespace,
            id=run.id[:8],
            run_name=run.name,
        )
    )
    found, _ = training.finished(place, name, say=say)
    second = place.mlflow().run(str(found["run_id"]))
    if second is None:
        raise LabError(
            t("run {run_id} is gone from MLflow", run_id=found["run_id"]),
            t("was it deleted? ./inv runs") + place.option,
        )
    return compared(run, second)


def again(run: Run) -> list[str]:
    """The arguments that train this run again; no version is registered of it."""
    if run.status != "FINISHED" or "model_digest" not in run.tags:
        raise LabError(
            t(
                "run {id} ({name}) is {status} and has no model to compare with",
                id=run.id[:8],
                name=run.name,
                status=run.status,
            ),
            "./inv runs",
        )
    missing = [name for name in NAMES if name not in run.params]
    if missing:
        raise LabError(
            t("run {id} ({name}) has no parameter {missing}", id=run.id[:8], name=run.name, missing=", ".join(missing)),
            "./inv runs",
        )
    options = [f"--{name.replace('_', '-')}={run.params[name]}" for name in NAMES]
    name = f"{run.name[:180].replace('/', '-').replace(':', '-')}-again"
    options += ["--no-register", f"--run-name={name}", "--tag", f"reproduces={run.id}"]
    return [*options, *_data(run)]


def _data(run: Run) -> list[str]:
    name, uri = run.params.get("data", IRIS), run.tags.get("data_uri", "")
    if uri:
        return ["--data", uri, "--data-name", name]
    if name != IRIS:
        raise LabError(
            t("{name}, the table of run {id}, is not kept in S3", name=name, id=run.id[:8]),
            t("./inv train --data keeps it"),
        )
    return []


def compared(first: Run, second: Run) -> Reproduced:
    """Pure."""
    forms = tuple(
        (words, first.tags[key], second.tags.get(key, "")) for key, words in FORMS.items() if key in first.tags
    )
    return Reproduced(
        run_id=first.id,
        again=second.id,
        same=all(then == now for _, then, now in forms),
        forms=forms,
        differences=tuple(_differences(first, second)),
    )


def _differences(first: Run, second: Run) -> Sequence[tuple[str, str, str]]:
    """Data first: another table explains everything; then packages, which change models; then code, which may."""
    pairs = [("data", first.params.get("data_digest", ""), second.params.get("data_digest", ""))]
    old, new = packages(first), packages(second)
    pairs += [(name, old.get(name, "none"), new.get(name, "none")) for name in sorted({*old, *new})]
    pairs += [(words, first.tags.get(key, ""), second.tags.get(key, "")) for key, words in CODE.items()]
    return [pair for pair in pairs if pair[1] != pair[2] and pair[1] and pair[2]]
