"""What a real Kubernetes 1.36 answered, asked again: one test per recorded scenario.

The recordings are not part of this repository: LAB_SHARED, or a folder `shared` beside it, holds them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LAB_SHARED") or Path(__file__).parents[3] / "shared")
GOLDEN = SHARED / "golden"
SCENARIOS = ("access", "crd", "discovery", "objects", "patch", "quota", "rbac", "watch", "workloads")

pytestmark = [
    pytest.mark.golden,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (GOLDEN / "replay.py").exists(), reason=f"no recordings at {GOLDEN} (set LAB_SHARED)"),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_answers_as_kubernetes_does(kubeconfig: Path, scenario: str) -> None:
    command = [sys.executable, str(GOLDEN / "replay.py"), "--kubeconfig", str(kubeconfig), "--only", scenario]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    last = done.stdout.strip().splitlines()[-1:]
    assert done.returncode == 0, done.stdout + done.stderr
    assert last, done.stderr
    assert not last[0].startswith("0 passed"), last[0]
