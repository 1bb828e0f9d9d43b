"""The only module of the lab that runs other programs in the foreground."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from lab.errors import LabError, ToolMissing


def find(program: str, *, hint: str) -> str:
    """Where the program is; raises ToolMissing with what to do about it."""
    found = shutil.which(program)
    if found is None:
        raise ToolMissing(f"{program} is not on PATH", hint)
    return found


def run(
    command: Sequence[str], *, environ: Mapping[str, str] | None = None, text: str = "", seconds: float = 600
) -> str:
    """Run to the end and return its output; raises LabError with what it printed where it failed."""
    try:
        done = subprocess.run(
            list(command),
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **(environ or {})},
        )
    except FileNotFoundError:
        raise ToolMissing(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{command[0]} did not end within {seconds:.0f} s") from None
    if done.returncode:
        raise LabError(f"{' '.join(command[:3])} ended with {done.returncode}:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout


def become(command: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run with this terminal's input and output and return its exit code (kubectl, an editor)."""
    return subprocess.run(list(command), env={**os.environ, **environ}, check=False).returncode
