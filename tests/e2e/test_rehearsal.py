"""What goes wrong in a class, rehearsed on the lab that the modules before it left up: all twelve faults, and a simulator that is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Lab, needs_simulator

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def running(lab: Lab) -> Lab:
    lab.inv("up", "--tenants", "01,02,20")
    return lab


def test_twelve_of_twelve_go_as_the_course_teaches(running: Lab) -> None:
    """The report that an instructor prints is kept in test-output."""
    shown = running.inv("rehearse", "--all", "--user", "02", seconds=800).stdout
    assert "12 of 12 as expected" in shown
    assert "nothing is broken" in running.inv("faults", "--active").stdout
    page = (running.state / "reports" / "rehearsal.md").read_text()
    assert page.count("user02 green again") == 12
    folder = ROOT / "test-output"
    folder.mkdir(exist_ok=True)
    (folder / "rehearsal.md").write_text(page)


@needs_simulator
def test_a_killed_cluster_comes_back_with_the_same_pods(running: Lab) -> None:
    """kill -9 of the simulator: its containers live on and are adopted, nothing is lost."""
    pid = int((running.state / "run" / "kubesim.pid").read_text().split()[0])
    os.kill(pid, 9)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.inv("up", "--tenants", "01,02,20")
    running.inv("verify")
