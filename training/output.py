"""What both programs print: log lines on standard error, the result's line on standard output, an exit code from `training.errors`."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, MutableMapping

from training.errors import TrainingError
from training.record import patience


def quiet(env: MutableMapping[str, str]) -> None:
    """Our own log lines and nothing of the libraries'; their patience as `training.record` has it."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("training").setLevel(logging.INFO)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of libraries, about their own future
    env.update(patience(env))


def reported(work: Callable[[], str], *, what: str) -> int:
    """Print what `work` returns as the last line; 0, or the exit code of what it raised (2: another try would end the same)."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        print(f"{what}: MLFLOW_TRACKING_URI is not set: where is MLflow?", file=sys.stderr)
        return 2
    try:
        line = work()
    except TrainingError as error:
        print(f"{what} failed: {error}", file=sys.stderr)
        return error.exit_code
    print(line, flush=True)
    return 0
