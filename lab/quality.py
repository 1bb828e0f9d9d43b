"""`invoke test`: every check of the code behind one command, in the order in which a failure costs least time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from lab.errors import LabError
from lab.settings import ROOT


def commands(k: str, *, everything: bool) -> dict[str, Sequence[Sequence[str]]]:
    python = [sys.executable, "-m"]
    return {
        "lint": [[*python, "ruff", "format", "--check", "."], [*python, "ruff", "check", "."]],
        "layers": [[sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]],
        "types": [[*python, "mypy"]],
        "tests": [[*python, "pytest", *(["-k", k] if k else []), *(["-m", ""] if everything else [])]],
    }


def main(*, only: str, k: str, everything: bool) -> int:
    """Run all, or the one named; stops at the first that fails and returns its exit code."""
    parts = commands(k, everything=everything)
    if only and only not in parts:
        raise LabError(f"no part {only!r}", f"one of: {', '.join(parts)}")
    for name in [only] if only else parts:
        started = time.monotonic()
        for command in parts[name]:
            code = subprocess.run(list(command), cwd=ROOT, check=False).returncode
            if code:
                print(f"✗ {name} failed: {' '.join(command[1:])}", file=sys.stderr)
                return code
        print(f"✓ {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return 0
