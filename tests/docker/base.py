"""A base image for tests: the Dockerfiles' own where the engine has it, else one that debootstrap makes, with Debian's Python 3.11."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab.build.images import BASE
from tests.docker.daemon import Engine

STAND_IN = "mlops-lab-test/python:3.11-bookworm"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"


def reason_to_skip(engine: Engine) -> str:
    if find(engine) or (shutil.which("debootstrap") and os.geteuid() == 0):
        return ""
    return f"neither {BASE} nor debootstrap is here to build on"


def find(engine: Engine) -> str:
    """LAB_TEST_BASE, the Dockerfiles' own, or what an earlier run made; empty where the engine has none of them."""
    wanted = (os.environ.get("LAB_TEST_BASE", ""), BASE, STAND_IN)
    return next((name for name in wanted if name and engine.docker("images", "--quiet", name).strip()), "")


def make(engine: Engine, folder: Path) -> str:
    root = folder / "root"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    for part in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / part)
    for compiled in [*root.rglob("__pycache__")]:  # the Dockerfiles' own base has none either
        shutil.rmtree(compiled)
    subprocess.run(["tar", "-C", str(root), "-cf", str(folder / "root.tar"), "."], check=True)
    engine.docker("import", str(folder / "root.tar"), STAND_IN)
    return STAND_IN
