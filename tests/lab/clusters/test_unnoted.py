"""`up` that is killed between a server's start and the note of its process: the next command finds the server by its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import settings
from lab.aws.standin import StandIn
from lab.clusters import leftovers
from lab.clusters.sim import Sim
from lab.host.processes import Daemon
from lab.settings import Settings
from tests.e2e.conftest import free_port


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    low = {"API": 21190, "AWS": 21290, "MLFLOW": 32110, "SERVING": 32210, "DASHBOARD": 32310, "PIPELINES": 32410}
    ports = {f"LAB_PORTS_{name}": str(free_port(port, port + 90)) for name, port in low.items()}
    return settings.load(environ={"LAB_STATE": str(tmp_path / "lab"), "LAB_AWS": "standin"} | ports)


def lost(daemon: Daemon) -> int:
    """As if `up` had been killed before it wrote the file down."""
    pid = daemon.pid()
    assert pid is not None
    daemon.pidfile.unlink()
    return pid


def test_a_cluster(own: Settings) -> None:
    sim = Sim(own)
    try:
        sim.create()
        first = lost(sim.daemon)
        assert sim.create() == f"https://127.0.0.1:{own.ports.api}"
        assert sim.daemon.pid() not in (None, first)
        lost(sim.daemon)
    finally:
        sim.delete()
    assert not sim.running()
    assert not sim.state.exists()


def test_an_aws_stand_in(own: Settings) -> None:
    aws = StandIn(own)
    try:
        aws.start()
        first = lost(aws.daemon)
        assert aws.start() == aws.endpoint()
        assert aws.daemon.pid() not in (None, first)
        lost(aws.daemon)
    finally:
        aws.delete()
    assert leftovers.servers("awssim", aws.folder()) == []
    assert not aws.running()


def test_another_folders_server_is_not_ended(own: Settings) -> None:
    aws = StandIn(own)
    try:
        aws.start()
        assert not leftovers.end_servers("awssim", own.state)
        assert not leftovers.end_servers("kubesim", aws.folder())
        assert aws.running()
    finally:
        aws.delete()
