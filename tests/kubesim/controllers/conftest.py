"""The fixture `world`: controllers, scheduler and a pretended kubelet on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kubesim.server import Cluster
from tests.kubesim.controllers.world import Hands, World


@pytest.fixture
async def world(cluster: Cluster) -> AsyncIterator[World]:
    """Controllers, scheduler and the pretended kubelet, running."""
    made = World(cluster)
    made.start()
    yield made
    await made.stop()


@pytest.fixture
async def still(cluster: Cluster) -> AsyncIterator[World]:
    """The same with a clock that only `advance` moves."""
    made = World(cluster, Hands())
    made.start()
    yield made
    await made.stop()
