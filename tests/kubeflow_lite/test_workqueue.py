"""The work queue's promises: one at a time per key, nothing forgotten, failures come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kubeflow_lite.errors import Conflict, KubeflowError
from kubeflow_lite.workqueue import WorkQueue


@asynccontextmanager
async def running(work: Callable[[str], Awaitable[None]]) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(work, workers=4, first=0.001, last=0.01)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_waiting_keys_are_worked_on_once() -> None:
    done: list[str] = []

    async def work(key: str) -> None:
        done.append(key)
        if key == "last":
            finished.set()

    finished = asyncio.Event()
    async with running(work) as queue:
        for key in ("a", "a", "b", "a", "last"):
            queue.add(key)
        await finished.wait()
    assert sorted(done) == ["a", "b", "last"]


async def test_a_key_added_while_worked_on_is_worked_on_once_more_afterwards() -> None:
    at_work, most, rounds = 0, 0, 0
    begun, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(key: str) -> None:
        nonlocal at_work, most, rounds
        at_work, rounds = at_work + 1, rounds + 1
        most = max(most, at_work)
        begun.set()
        await go_on.wait()
        at_work -= 1
        if rounds == 2:
            finished.set()

    async with running(work) as queue:
        queue.add("a")
        await begun.wait()
        for _ in range(5):
            queue.add("a")
        go_on.set()
        await finished.wait()
        await asyncio.sleep(0)
    assert (most, rounds) == (1, 2)


async def test_different_keys_are_worked_on_side_by_side() -> None:
    together = asyncio.Barrier(4)

    async def work(key: str) -> None:
        await together.wait()

    async with running(work) as queue, asyncio.timeout(5):
        for key in "abc":
            queue.add(key)
        await together.wait()


async def test_a_failed_key_comes_back_until_it_succeeds() -> None:
    errors: list[Exception] = [
        Conflict(409, "Conflict", "changed"),
        KubeflowError("no"),
        ValueError("a bug"),
        OSError("x"),
    ]
    finished = asyncio.Event()

    async def work(key: str) -> None:
        if errors:
            raise errors.pop()
        finished.set()

    async with running(work) as queue, asyncio.timeout(5):
        queue.add("a")
        await finished.wait()
    assert queue._failures == {}


async def test_one_broken_key_does_not_stop_the_others() -> None:
    finished = asyncio.Event()

    async def work(key: str) -> None:
        if key == "broken":
            raise ValueError("always")
        finished.set()

    async with running(work) as queue, asyncio.timeout(5):
        queue.add("broken")
        queue.add("fine")
        await finished.wait()
