"""`python -m lab.bundle FILE`: make .venv from a bundle. `inv` calls it before there is an environment, with whatever Python the machine has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.bundle.install import install
from lab.errors import LabError
from lab.messages import t


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(t("usage: python -m lab.bundle FILE"), file=sys.stderr)
        return 2
    try:
        install(Path(arguments[0]), Path(__file__).resolve().parents[2], os.environ)
    except LabError as error:
        print(f"inv: {error.message}" + (f"\n  → {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


sys.exit(main(sys.argv[1:]))
