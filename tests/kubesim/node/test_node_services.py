"""The node keeps its service proxy: what it says of one that does not start, and that it tries again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kubesim.node import daemons
from kubesim.server import Settings, running

SECONDS = 60.0


async def test_a_proxy_that_cannot_start_is_told_with_its_log_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    folder = state / "node" / "proxy"
    (folder / "proxy.sock").mkdir(parents=True)  # where it would listen
    try:
        async with running(Settings(state, port=0, controllers=False, node=True)) as cluster, asyncio.timeout(SECONDS):
            network = cluster.server.node.network
            while "service proxy" not in caplog.text:  # noqa: ASYNC110  a log has no event
                await asyncio.sleep(0.02)
            assert f"it ended before it answered, see {folder / 'log'}; the next attempt is in 1 s" in caplog.text
            assert "Is a directory" in (folder / "log").read_text()
            assert network.connection is None
            (folder / "proxy.sock").rmdir()
            while network.connection is None:  # noqa: ASYNC110  nor has a connection
                await asyncio.sleep(0.02)
    finally:
        await daemons.end_all(state)
