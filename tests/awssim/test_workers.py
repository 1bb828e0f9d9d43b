"""Threads beside the loop: what they bring arrives on the loop, whoever wakes it."""

import asyncio
import threading

import pytest

from awssim.workers import Workers


@pytest.fixture
async def workers() -> Workers:
    """The executor of the test's loop, which asyncio shuts down with the loop."""
    loop = asyncio.get_running_loop()
    made = Workers(loop)
    loop.set_default_executor(made)
    return made


@pytest.mark.usefixtures("workers")
async def test_results_and_errors_arrive() -> None:
    assert await asyncio.gather(*(asyncio.to_thread(lambda n: n * n, n) for n in range(100))) == [
        n * n for n in range(100)
    ]
    with pytest.raises(OSError, match="full"):
        await asyncio.to_thread(_fail)


def _fail() -> None:
    raise OSError(28, "full")


@pytest.mark.usefixtures("workers")
async def test_they_are_told_on_the_loop_by_a_byte_and_no_thread_calls_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, callers = asyncio.get_running_loop(), set[str]()
    original = loop.call_soon_threadsafe

    def noted(*arguments: object, **keywords: object) -> object:
        callers.add(threading.current_thread().name)
        return original(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", noted)
    worker = await asyncio.to_thread(lambda: threading.current_thread().name)
    assert worker.startswith("awssim-worker")
    assert callers == {threading.main_thread().name}


@pytest.mark.usefixtures("workers")
async def test_what_is_given_up_before_its_turn_is_not_done() -> None:
    release, began, done = threading.Event(), threading.Barrier(17), list[int]()

    def hold() -> None:
        began.wait(60)
        release.wait(60)

    holding = [asyncio.ensure_future(asyncio.to_thread(hold)) for _ in range(16)]
    waiting = asyncio.ensure_future(asyncio.to_thread(done.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)  # the loop tells the executor
    await asyncio.sleep(0)
    began.wait(60)
    release.set()
    await asyncio.gather(*holding)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == []
