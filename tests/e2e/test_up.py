"""What goes wrong while a lab comes up, as it happens to people: a port taken, two at once, Ctrl-C, a killed server. The lab stays usable."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import ROOT, Lab, fresh_lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(600)]
UP = ("up", "--tenants", "01")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fresh_lab(tmp_path_factory.mktemp("own"), offset=40) as made:
        yield made


def started(lab: Lab, *options: str) -> subprocess.Popen[str]:
    """`./inv up` in the background, a session of its own, so that it gets Ctrl-C as from a terminal."""
    return subprocess.Popen(
        [str(ROOT / "inv"), *UP, *options],
        env=dict(lab.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read on until a line has the words; what came."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"{words!r} did not come: {seen}")


@pytest.mark.parametrize("port", ["API", "SERVING"])
def test_a_port_that_is_taken_is_named_with_the_program_that_has_it(own: Lab, port: str) -> None:
    number = own.environ[f"LAB_PORTS_{port}"]
    with socket.create_server(("127.0.0.1", int(number))):
        told = own.inv(*UP, code=1).stderr
    assert f"port {number} on 127.0.0.1" in told
    assert f"process {os.getpid()} " in told
    assert f"LAB_PORTS_{port}=" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("step", ["cluster: ", "Kubernetes (sim)", "PostgreSQL"])
def test_ctrl_c_ends_up_at_once_and_the_next_one_goes_on(own: Lab, step: str) -> None:
    process = started(own)
    until(process, step)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "./inv up goes on" in told
    assert "Traceback" not in told


def test_a_second_up_at_the_same_moment_is_refused_and_the_first_is_not_disturbed(own: Lab) -> None:
    first = started(own)
    until(first, "Kubernetes (sim)")
    told = own.inv(*UP, code=6).stderr
    assert "this lab is being changed by process" in told
    shown = first.communicate(timeout=280)[0]
    assert first.returncode == 0, shown


def test_after_a_killed_server_up_repairs_and_nothing_is_lost(own: Lab) -> None:
    before = json.loads(own.inv("status", "--json").stdout)
    os.kill(int((own.state / "run" / "kubesim.pid").read_text().split()[0]), signal.SIGKILL)
    own.inv(*UP)
    after = json.loads(own.inv("status", "--json").stdout)
    assert after["good"] is True
    assert after["tenants"] == before["tenants"]
