"""One training from arguments to result: the recipe, and what happens when a step of it fails."""

from __future__ import annotations

import json
import logging
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from training import data, model, package, picture, registry
from training.arguments import Request
from training.errors import Stopped
from training.record import Recorder
from training.registry import PROMOTED, SCORE

RESULT = "RESULT "
_log = logging.getLogger("training")


@dataclass(frozen=True)
class Result:
    """What a training made; the last line of its output is this as JSON, after the word RESULT."""

    run_id: str
    run_path: str
    experiment_id: str
    model: str
    version: str
    champion: bool
    champion_before: str
    artifact_uri: str
    model_uri: str
    model_digest: str
    data_digest: str
    accuracy: float
    f1: float
    seconds: float

    def line(self) -> str:
        return RESULT + json.dumps(asdict(self))


def run(request: Request, client: MlflowClient) -> Result:
    """Train, judge, record, register, promote. Whatever is raised, the run in MLflow has ended.

    A version is registered only after all its files are in S3 and compared, so none needs to be taken back.
    """
    started = time.monotonic()
    table = data.read(request.data, folds=request.parameters.folds) if request.data else data.iris()
    recorder = Recorder.begin(client, request)
    _log.info("run %s started in experiment %r", recorder.run_id, request.experiment)
    undo = _Undo(recorder)
    try:
        return _run(request, table, recorder, undo, started)
    except BaseException as error:
        undo.all(error)
        raise


def _run(request: Request, table: data.Table, recorder: Recorder, undo: _Undo, started: float) -> Result:
    recorder.describe(request, table)
    trained = model.train(table, request.parameters, workers=request.workers)
    metrics = trained.metrics
    _log.info("accuracy %.4f, F1 %.4f on the test set", metrics["accuracy"], metrics["f1"])
    undo.logged = logged = recorder.begin_model(request.model)
    with tempfile.TemporaryDirectory(prefix="training-") as scratch:
        made = package.write(
            Path(scratch) / "model",
            table,
            trained,
            seed=request.parameters.seed,
            mlflow_model=recorder.description(logged),
        )
        _log.info(
            "skops and ONNX agree on %d points (largest difference %.1g)", made.equality.points, made.equality.largest
        )
        drawing = Path(scratch) / "confusion_matrix.png"
        picture.confusion(trained.confusion, table.classes, drawing)
        recorder.attach(drawing)
        recorder.upload(logged, made)
    recorder.log(
        metrics | {"forms_points": made.equality.points, "forms_largest_difference": made.equality.largest},
        {"model_digest": made.digest},
        logged,
    )
    version = registry.register(
        recorder.client,
        request.model,
        source=logged.artifact_location,
        run_id=recorder.run_id,
        model_id=logged.model_id,
        tags={
            SCORE: repr(metrics["accuracy"]),
            "model_digest": made.digest,
            "data_digest": table.digest,
            PROMOTED: "false",
        },
    )
    _log.info("registered %s version %s", version.name, version.version)
    promotion = registry.promote(recorder.client, version, metrics["accuracy"])
    recorder.finish()
    return Result(
        run_id=recorder.run_id,
        run_path=f"/#/experiments/{recorder.experiment_id}/runs/{recorder.run_id}",
        experiment_id=recorder.experiment_id,
        model=version.name,
        version=str(version.version),
        champion=promotion.moved,
        champion_before=promotion.before,
        artifact_uri=recorder.artifact_uri,
        model_uri=logged.artifact_location,
        model_digest=made.digest,
        data_digest=table.digest,
        accuracy=metrics["accuracy"],
        f1=metrics["f1"],
        seconds=round(time.monotonic() - started, 2),
    )


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


def stop_on_sigterm() -> None:
    """SIGTERM becomes Stopped, so that the run ends KILLED and not, for ever, RUNNING."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped("stopped by SIGTERM: the Job or its pod was deleted")

    signal.signal(signal.SIGTERM, stop)
