"""The lab in a network namespace that has a loopback and nothing else: it comes up, trains and answers, and nothing tries to leave.

With the packages of this environment; test_whole does it with a bundle's, and tests the bundle.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.bundle.offline import alone, needs_namespaces
from tests.lab.bundle.test_whole import ROOT, environment

SCRIPT = """
trap './inv down --purge >&2' EXIT
./inv up --tenants 01
./inv train --n-estimators 20
./inv predict --features 5.1,3.5,1.4,0.2
"""


@pytest.mark.timeout(600)
@needs_namespaces
def test_a_lab_without_a_network(tmp_path: Path) -> None:
    own = environment(LAB_STATE=str(tmp_path / "lab"), HOME=str(tmp_path), LAB_CLUSTER="sim", LAB_AWS="standin")
    done = subprocess.run(
        alone(["sh", "-ec", SCRIPT], names=False), cwd=ROOT, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "setosa" in done.stdout
    assert "attempts to leave: 0" in done.stderr
