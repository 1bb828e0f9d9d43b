"""Environments of the peers: made once from pinned packages, kept under the lab's state, made again when the pins change."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from lab.benches.servers import PEERS
from lab.errors import LabError
from lab.messages import t
from lab.settings import ROOT


def environment(packages: str, folder: Path) -> Path:
    """The bin folder of an environment with the packages of a file, made where it is missing or the file has changed. Raises LabError."""
    if not packages:
        return Path(sys.executable).parent
    wanted = PEERS / f"{packages}.txt"
    venv, digest = folder / packages, hashlib.sha256(wanted.read_bytes()).hexdigest()
    mark = venv / "packages.sha256"
    if mark.exists() and mark.read_text() == digest:
        return venv / "bin"
    print(t("    installing {wanted} (once) ...", wanted=wanted.relative_to(ROOT)), flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    for step in _installation(venv, wanted):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [t("no reason given")])[-1]
            raise LabError(t("cannot be installed here: {why}", why=last[:200]))
    mark.write_text(digest)
    return venv / "bin"


def _installation(venv: Path, wanted: Path) -> list[list[str]]:
    """With uv where it is, with pip elsewhere."""
    if shutil.which("uv"):
        python = str(venv / "bin" / "python")
        return [
            ["uv", "venv", "--quiet", "--python", sys.executable, str(venv)],
            ["uv", "pip", "install", "--quiet", "--python", python, "-r", str(wanted)],
        ]
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(wanted)]
    return [[sys.executable, "-m", "venv", str(venv)], pip]
