"""The command `python -m training`."""

from __future__ import annotations

import os
import sys

from mlflow.tracking import MlflowClient

from training import stopping
from training.arguments import parse, parser
from training.errors import BadArguments
from training.output import quiet, reported
from training.program import run


def main(argv: list[str] | None = None) -> int:
    """Its exit code; 2 means that another try would end the same."""
    try:
        request = parse(sys.argv[1:] if argv is None else argv, job=os.environ.get("JOB_NAME", ""))
    except BadArguments as error:
        print(f"{parser().format_usage()}training failed: {error}", file=sys.stderr)
        return error.exit_code
    quiet(os.environ)
    stopping.install()
    try:
        return reported(lambda: run(request, MlflowClient()).line(), what="training")
    finally:
        stopping.see()


if __name__ == "__main__":
    sys.exit(main())
