"""Serving one application until the pod is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterable

from aiohttp import web

from kubeflow_lite import health

log = logging.getLogger(__name__)


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def until_stopped(app: web.Application, address: str, port: int) -> None:
    stop = stop_signal()
    async with health.serving(app, address, port) as bound:
        log.info("listening on port %d", bound)
        await stop.wait()


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a cancellation that comes as a connection breaks may be taken for the break."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1.0)
