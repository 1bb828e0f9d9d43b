"""The stand-in's provider: on loopback for this host, and where a cluster's nodes find it."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from lab import settings
from lab.aws.standin import StandIn
from tests.lab.aws.test_localstack import free_port
from tests.lab.test_settings import MINIMAL, write


@pytest.fixture
def provider(tmp_path: Path) -> StandIn:
    environ = {"LAB_STATE": str(tmp_path / "lab"), "LAB_AWS": "standin", "LAB_PORTS_AWS": str(free_port())}
    return StandIn(settings.load(write(tmp_path, MINIMAL), environ))


def test_it_answers_on_loopback_and_at_the_nodes_address_and_nowhere_else(provider: StandIn) -> None:
    try:
        provider.start("127.0.0.2")
        for address in ("127.0.0.1", "127.0.0.2"):
            with urllib.request.urlopen(f"http://{address}:{provider.port}/_awssim/health", timeout=5) as answer:
                assert answer.status == 200
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.3:{provider.port}/_awssim/health", timeout=5)
        assert provider.start("127.0.0.2") == "already running"
    finally:
        provider.delete()
    assert not provider.running()
