"""One training from arguments to result: the recipe, and what happens when a step of it fails."""

from __future__ import annotations

import errno
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from training import data, model, package, picture, registry, source, stopping
from training.arguments import Request
from training.errors import NoSpace
from training.record import Recorder, Repeated
from training.results import Result

_log = logging.getLogger("training")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(request: Request, client: MlflowClient) -> Result:
    """Train, judge, record, register, promote. Whatever is raised, the run in MLflow has ended.

    A version is registered only after all its files are in S3 and compared, so none needs to be taken back.
    """
    started = time.monotonic()
    table = _table(request)
    try:
        recorder = Recorder.begin(client, request, table)
    except Repeated as done:
        _log.info("%s; nothing to do", done)
        return Result(**json.loads(done.result))
    _log.info("run %s started in experiment %r", recorder.run_id, request.experiment)
    undo = _Undo(recorder)
    try:
        return _run(request, table, recorder, undo, started)
    except BaseException as error:
        stopped = stopping.see()
        undo.all(stopped or error)
        if stopped and stopped is not error:
            raise stopped from error
        raise


def _table(request: Request) -> data.Table:
    if not request.data:
        return data.iris()
    with tempfile.TemporaryDirectory(prefix="table-") as scratch:
        path = source.fetch(request.data, Path(scratch))
        return data.read(path, folds=request.parameters.folds, name=request.data_name)


def _run(request: Request, table: data.Table, recorder: Recorder, undo: _Undo, started: float) -> Result:
    recorder.describe(request, table)
    parts = model.split(table, request.parameters)
    with model.cross_validation(parts, request.parameters, workers=request.workers) as folds:
        trained = model.train(parts, request.parameters)
        _log.info("accuracy %.4f, F1 %.4f on the test set", trained.metrics["accuracy"], trained.metrics["f1"])
        undo.logged = logged = recorder.begin_model(request.model)
        made = _store(request, table, trained, recorder, logged)
        across = folds.metrics()
    _log.info("accuracy %.4f ± %.4f over %d folds", *list(across.values())[:2], request.parameters.folds)
    tags = made.tags() | {registry.INTERFACE: table.interface, "model_id": logged.model_id}
    recorder.log(trained.metrics | across | made.metrics(), tags, logged)
    version, promotion = _publish(request, recorder, logged, tags | {"data_digest": table.digest}, trained)
    result = Result(
        run_id=recorder.run_id,
        run_path=f"/#/experiments/{recorder.experiment_id}/runs/{recorder.run_id}",
        experiment_id=recorder.experiment_id,
        model=request.model,
        version=version,
        champion=promotion.moved,
        champion_before=promotion.before,
        champion_reason=promotion.reason,
        artifact_uri=recorder.artifact_uri,
        model_uri=logged.artifact_location,
        model_digest=made.digest,
        skops_digest=made.skops_digest,
        data_digest=table.digest,
        accuracy=trained.metrics["accuracy"],
        f1=trained.metrics["f1"],
        seconds=round(time.monotonic() - started, 2),
    )
    recorder.finish(json.dumps(asdict(result)))
    return result


def _publish(
    request: Request, recorder: Recorder, logged: LoggedModel, tags: dict[str, str], trained: model.Trained
) -> tuple[str, registry.Promotion]:
    """Register a version and, where it may, make it champion."""
    if not request.register:
        return "", registry.Promotion(moved=False, before="", reason="no version was asked for")
    version = registry.register(
        recorder.client,
        request.model,
        source=logged.artifact_location,
        run_id=recorder.run_id,
        model_id=logged.model_id,
        tags=_version_tags(tags, trained),
    )
    _log.info("registered %s version %s", version.name, version.version)
    return str(version.version), registry.promote(recorder.client, version)


def _store(
    request: Request, table: data.Table, trained: model.Trained, recorder: Recorder, logged: LoggedModel
) -> package.Package:
    """Write the model and the picture, compare the model's forms, and send both to S3."""
    with tempfile.TemporaryDirectory(prefix="training-") as scratch, _room(scratch):
        folder, drawing = Path(scratch) / "model", Path(scratch) / "confusion_matrix.png"
        description = recorder.description(logged)
        made = package.write(folder, table, trained, seed=request.parameters.seed, mlflow_model=description)
        alike = made.equality
        _log.info("skops and ONNX agree on %d points (largest difference %.1g)", alike.points, alike.largest)
        picture.confusion(trained.confusion, table.classes, drawing)
        recorder.attach(drawing)
        recorder.upload(logged, made)
    return made


@contextmanager
def _room(folder: str) -> Iterator[None]:
    """Turn what a full disk raises into one sentence; the files are only copies, so nothing else has to be undone."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(f"no room for the model's files in {folder}: {error.strerror}") from error
        raise


def _version_tags(tags: dict[str, str], trained: model.Trained) -> dict[str, str]:
    kept = (registry.INTERFACE, "model_digest", "data_digest")
    return {registry.SCORE: repr(trained.metrics["accuracy"]), **{key: tags[key] for key in kept}}


class _Undo:
    """What must not outlive a failure."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.logged: LoggedModel | None = None

    def all(self, reason: BaseException) -> None:
        """Best effort: MLflow may be what failed. The run's status comes first, it is what a student looks at."""
        try:
            self.recorder.fail(reason)
            if self.logged is not None:
                self.recorder.discard(self.logged)
        except (MlflowException, RequestException) as error:
            _log.error("the run could not be marked as failed: %s", error)
