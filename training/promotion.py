"""`python -m training.promotion`: make a version champion, by number, by the run that trained it, or the champion before this one.

The one way besides a training in which the alias moves. The files are inspected first, so that what a service would refuse is refused
here, with the alias where it was. The last line of the output is RESULT and JSON, as a training's is.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mlflow.artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from training import registry
from training.errors import BadModel, NoSuchVersion
from training.inspection import inspect
from training.output import quiet, reported
from training.record import reaching
from training.results import Promoted

_log = logging.getLogger("training")
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def promote(client: MlflowClient, version: ModelVersion, *, if_better: bool, why: registry.Why) -> Promoted:
    """Inspect, then move the alias. Raise BadModel with the alias where it was."""
    found = inspect(_files(version), digest=version.tags.get("model_digest", ""))
    _log.info("%s version %s: both forms answer %d golden rows as trained", version.name, version.version, found.golden)
    outcome = registry.promote(client, version, strictly=True) if if_better else registry.move(client, version, why)
    return Promoted(
        model=version.name,
        version=str(version.version),
        run_id=str(version.run_id or ""),
        moved=outcome.moved,
        before=outcome.before,
        reason=outcome.reason,
        model_digest=found.digest,
        golden=found.golden,
    )


def numbered(client: MlflowClient, name: str, number: str) -> ModelVersion:
    """That version. Raise NoSuchVersion."""
    with reaching(f"MLflow does not say what {name} version {number} is"):
        try:
            version = client.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code in _GONE:
                raise NoSuchVersion(f"there is no version {number} of {name!r}") from error
            raise
    if version.status != "READY":
        raise NoSuchVersion(f"{name} version {number} is {version.status}, not READY")
    return version


def of_run(client: MlflowClient, name: str, run_id: str) -> ModelVersion:
    """The version made of a run's model; registered now where it was not. Raise NoSuchVersion for a run without a finished model."""
    with reaching(f"MLflow does not say what run {run_id} made"):
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in _GONE:
                raise NoSuchVersion(f"there is no run {run_id}") from error
            raise
        if found := client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
            return numbered(client, name, str(found[0].version))
    return _register(client, name, run)


def _register(client: MlflowClient, name: str, run: Run) -> ModelVersion:
    tags = run.data.tags
    if run.info.status != "FINISHED" or "model_id" not in tags:
        raise NoSuchVersion(f"run {run.info.run_id} is {run.info.status} and has no model to register")
    with reaching(f"MLflow does not say where the model of run {run.info.run_id} is"):
        logged = client.get_logged_model(tags["model_id"])
    version = registry.register(
        client,
        name,
        source=logged.artifact_location,
        run_id=run.info.run_id,
        model_id=logged.model_id,
        tags={
            registry.SCORE: repr(run.data.metrics["accuracy"]),
            **{key: tags[key] for key in (registry.INTERFACE, "model_digest", "data_digest") if key in tags},
        },
    )
    _log.info("registered %s version %s", version.name, version.version)
    return version


def previous(client: MlflowClient, name: str) -> ModelVersion:
    """The champion before the present one, of those that still exist. Raise NoSuchVersion where there is none."""
    with reaching(f"MLflow does not say who was champion of {name!r}"):
        try:
            moves = registry.history(client, name).values()
        except MlflowException as error:
            if error.error_code in _GONE:
                raise NoSuchVersion(f"there is no registered model {name!r}") from error
            raise
        now = registry.champion(client, name)
    for number in registry.earlier(moves, now.version if now else ""):
        try:
            return numbered(client, name, number)
        except NoSuchVersion:
            _log.info("version %s, a champion once, is gone", number)
    raise NoSuchVersion(f"{name!r} has no champion before {f'version {now.version}' if now else 'this'} to go back to")


def _files(version: ModelVersion) -> dict[str, bytes]:
    """Every file of a version, by its name."""
    what = f"S3 does not give the files of {version.name} version {version.version}"
    with tempfile.TemporaryDirectory(prefix="promotion-") as scratch, reaching(what):
        try:
            folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=version.source, dst_path=scratch))
        except (FileNotFoundError, NotADirectoryError, MlflowException) as error:
            if isinstance(error, MlflowException) and "(404)" not in str(error):
                raise
            raise BadModel(f"{version.name} version {version.version} has no files at {version.source}") from error
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main(argv: Sequence[str] | None = None) -> int:
    """Its exit code."""
    parser = argparse.ArgumentParser(prog="training.promotion", description="Inspect a model, then make it champion.")
    parser.add_argument("--model-name", default="iris", metavar="NAME")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", metavar="N", help="of the registered model")
    which.add_argument("--run", metavar="RUN", help="whose model is registered where it was not")
    which.add_argument("--previous", action="store_true", help="go back to the champion before this one")
    parser.add_argument("--if-better", action="store_true", help="only where its accuracy is past the champion's")
    given = parser.parse_args(argv)
    quiet(os.environ)
    return reported(lambda: _main(given).line(), what="promotion")


def _main(given: argparse.Namespace) -> Promoted:
    client = MlflowClient()
    if given.previous:
        version = previous(client, given.model_name)
    elif given.run:
        version = of_run(client, given.model_name, given.run)
    else:
        version = numbered(client, given.model_name, given.version)
    return promote(client, version, if_better=given.if_better, why="back" if given.previous else "hand")


if __name__ == "__main__":
    sys.exit(main())
