"""`invoke test`: every check of the code behind one command, in the order in which a failure costs least time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.messages import VARIABLE, t
from lab.settings import ROOT

TOOLS = ROOT / "requirements-dev.lock"
PARALLEL = ("-n", "2", "--dist", "loadfile")
"""Two processes: the tests wait for processes of their own as often as they compute. Those of one file share a lab, so a file stays together."""


def commands(k: str, *, everything: bool) -> dict[str, Sequence[Sequence[str]]]:
    python = [sys.executable, "-m"]
    return {
        "lint": [[*python, "ruff", "format", "--check", "."], [*python, "ruff", "check", "."]],
        "layers": [[sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]],
        "types": [[*python, "mypy"]],
        "tests": [[*python, "pytest", *PARALLEL, *(["-k", k] if k else []), *(["-m", ""] if everything else [])]],
    }


def main(*, only: str, k: str, everything: bool) -> int:
    """Run all, or the one named; stops at the first that fails and returns its exit code."""
    parts = commands(k, everything=everything)
    if only and only not in parts:
        raise LabError(t("no part {only!r}", only=only), t("one of: {names}", names=", ".join(parts)))
    install_tools()
    # Tests read what the lab says, in English.
    environ = {key: value for key, value in os.environ.items() if key != VARIABLE}
    for name in [only] if only else parts:
        started = time.monotonic()
        for command in parts[name]:
            code = subprocess.run(list(command), cwd=ROOT, check=False, env=environ).returncode
            if code:
                print(t("✗ {name} failed: {command}", name=name, command=" ".join(command[1:])), file=sys.stderr)
                return code
        print(f"✓ {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return 0


def install_tools() -> None:
    """What only tests need, on top of the lab's own packages: installed when it is missing or stale, as `./inv` does with those."""
    wanted = (ROOT / "requirements.lock").read_text() + TOOLS.read_text()
    done = Path(sys.prefix) / TOOLS.name
    if done.exists() and done.read_text() == wanted:
        return
    print(t("installing what the tests need into .venv (once)..."), file=sys.stderr, flush=True)
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--python", sys.executable, "--compile-bytecode"] if uv else []
    installer = installer or [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    code = subprocess.run([*installer, "--quiet", "--require-hashes", "-r", str(TOOLS)], check=False).returncode
    if code:
        raise LabError(
            t("the packages that the tests need could not be installed, see above"), t("is the network there?")
        )
    done.write_text(wanted)
