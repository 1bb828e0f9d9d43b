"""The command: log lines on standard error, the result's line on standard output, an exit code from `training.errors`."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from mlflow.tracking import MlflowClient

from training.arguments import parse
from training.errors import TrainingError
from training.program import run, stop_on_sigterm
from training.record import patience


def main(argv: list[str] | None = None) -> int:
    """Its exit code; 2 means that another try would end the same."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("training").setLevel(logging.INFO)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of libraries, about their own future
    request = parse(sys.argv[1:] if argv is None else argv, job=os.environ.get("JOB_NAME", ""))
    os.environ.update(patience(os.environ))
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        print("training: MLFLOW_TRACKING_URI is not set: where is MLflow?", file=sys.stderr)
        return 2
    stop_on_sigterm()
    try:
        result = run(request, MlflowClient())
    except TrainingError as error:
        print(f"training failed: {error}", file=sys.stderr)
        return error.exit_code
    print(result.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
