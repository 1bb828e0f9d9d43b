"""What a lab survives: an `up` that is killed, at several moments; a machine that went off with all of it; and what `down --purge` leaves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Lab, fresh_lab
from tests.e2e.test_up import UP, started, until

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(3000)]
LONG = 900.0
"""Seconds that a busy machine may take for one command."""
MOMENTS = ("cluster: ", "Kubernetes (sim)", "namespaces and storage", "PostgreSQL", "databases", "1 tenant")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fresh_lab(tmp_path_factory.mktemp("own"), offset=60) as made:
        yield made


def running_in(lab: Lab) -> list[psutil.Process]:
    """Everything that the lab runs: what names its folder, or has it in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            continue
        if any(str(lab.state) in word for word in told):
            found.append(process)
    return found


def left_of(lab: Lab) -> set[str]:
    """Files that are there when neither a process nor a mount of the lab's is."""
    assert running_in(lab) == []
    assert str(lab.state) not in Path("/proc/self/mounts").read_text()
    return {str(path.relative_to(lab.state)) for path in lab.state.rglob("*") if path.is_file()}


def kill_all(lab: Lab) -> None:
    """As a power cut does it: nobody is asked, and nobody is left."""
    while left := running_in(lab):
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=30)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_up_that_is_killed_is_taken_up_again(own: Lab, moment: str) -> None:
    process = started(own)
    until(process, moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    own.inv(*UP, seconds=LONG)
    assert own.json("status", "--json")["good"] is True
    own.inv("down", "--purge")


@pytest.mark.parametrize("moment", ["cluster: ", "PostgreSQL", "1 tenant"])
def test_of_an_up_that_is_killed_down_leaves_nothing(own: Lab, moment: str) -> None:
    process = started(own)
    until(process, moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    own.inv("down", "--purge")
    assert left_of(own) == {"lock"}


def test_after_a_power_cut_in_the_middle_of_the_first_up(own: Lab) -> None:
    process = started(own)
    until(process, "PostgreSQL")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    kill_all(own)
    own.inv(*UP, seconds=LONG)
    assert own.json("status", "--json")["good"] is True


def test_after_a_reboot_the_same_lab_comes_back(own: Lab) -> None:
    """Process ids of before belong to others now: what a pid file names is asked when it was born."""
    own.inv("train", "--n-estimators", "20", seconds=LONG)
    first = json.loads(own.inv("predict", "--features", "5.1,3.5,1.4,0.2", "--json").stdout)
    kill_all(own)
    for name in ("kubesim", "awssim"):
        file = own.state / "run" / f"{name}.pid"
        file.write_text(f"{os.getpid()} {file.read_text().split()[1]}")
    own.inv(*UP, seconds=LONG)
    assert own.json("status", "--json")["good"] is True
    assert json.loads(own.inv("predict", "--features", "5.1,3.5,1.4,0.2", "--json").stdout) == first
    own.inv("verify", "--user", "01", seconds=LONG)


def test_down_purge_leaves_no_process_and_nothing_that_the_lab_made(own: Lab) -> None:
    (own.state / "of-mine").write_text("kept")
    own.inv("down", "--purge")
    assert left_of(own) == {"of-mine", "lock"}
