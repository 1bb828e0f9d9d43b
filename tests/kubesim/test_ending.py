"""A task that swallows a cancellation, and a child of one that does, still end."""

from __future__ import annotations

import asyncio
import contextlib

from kubesim import ending


async def deaf(times: int) -> None:
    """Goes on as often as it is cancelled, as `wait_for` of Python 3.11 may make a loop do."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    await asyncio.sleep(60)


async def group() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(deaf(1))
        tasks.create_task(asyncio.sleep(60))


async def test_deaf_tasks_are_told_again() -> None:
    tasks = [asyncio.create_task(deaf(0)), asyncio.create_task(deaf(1)), asyncio.create_task(group())]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await ending.cancel(tasks)
    assert all(task.done() for task in tasks)


async def test_a_failure_while_ending_is_dropped() -> None:
    async def fails() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("while ending")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await ending.cancel([task])
    assert isinstance(task.exception(), ValueError)
