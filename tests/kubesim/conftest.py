"""A real cluster in this process, for the tests of kubesim: TLS, a store on disk, a port of the kernel's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubesim.server import Cluster, Settings, running


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """The API server alone: no controllers, no node. `cluster.client()` is the API in process, `cluster.url` over HTTPS."""
    settings = Settings(tmp_path / "state", port=0, controllers=False, node=False)
    async with running(settings) as started:
        yield started
