"""`python -m tracking`: MLflow's server, until SIGTERM."""

from __future__ import annotations

import os
import sys

from .server import Config, Refused, run


def main() -> int:
    """Its exit code."""
    try:
        run(Config.read(os.environ))
    except Refused as error:
        print(f"tracking: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
