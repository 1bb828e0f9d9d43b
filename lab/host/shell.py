"""The only module of the lab that runs other programs in the foreground."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from lab.errors import LabError, ToolMissing
from lab.messages import t


def find(program: str, *, hint: str) -> str:
    """Where the program is; raises ToolMissing with what to do about it."""
    found = shutil.which(program)
    if found is None:
        raise ToolMissing(t("{program} is not on PATH", program=program), hint)
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
        raise ToolMissing(t("{command} is not installed", command=command[0])) from None
    except subprocess.TimeoutExpired:
        raise LabError(t("{command} did not end within {seconds:.0f} s", command=command[0], seconds=seconds)) from None
    if done.returncode:
        raise LabError(
            t(
                "{command} ended with {code}:\n{output}",
                command=" ".join(command[:3]),
                code=done.returncode,
                output=(done.stderr or done.stdout).strip(),
            )
        )
    return done.stdout


def become(command: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run with this terminal's input and output and return its exit code (kubectl, an editor)."""
    return subprocess.run(list(command), env={**os.environ, **environ}, check=False).returncode
