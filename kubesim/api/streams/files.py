"""Reading and writing pipes and terminals on the event loop, without threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable

CHUNK = 32 * 1024


async def chunks(handle: int) -> AsyncIterator[bytes]:
    """What comes from a pipe or terminal until its other end is closed."""
    os.set_blocking(handle, False)
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = os.read(handle, CHUNK)
        except BlockingIOError:
            await _until(handle, loop.add_reader, loop.remove_reader)
            continue
        except OSError:
            return  # EIO: the last process of a terminal has gone
        if not data:
            return
        yield data


async def write(handle: int, data: bytes) -> None:
    """All of `data`; raises OSError where nobody reads any more."""
    os.set_blocking(handle, False)
    loop = asyncio.get_running_loop()
    while data:
        try:
            data = data[os.write(handle, data) :]
        except BlockingIOError:
            await _until(handle, loop.add_writer, loop.remove_writer)


async def _until(handle: int, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
    ready = asyncio.Event()
    add(handle, ready.set)
    try:
        await ready.wait()
    finally:
        remove(handle)
