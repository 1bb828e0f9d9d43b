"""Every test gets a cluster with a node of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kubesim.node.lab import Lab, started


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with started(tmp_path) as running:
        yield running
