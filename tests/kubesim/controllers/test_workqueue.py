"""The work queue: one worker per key, retries that slow down, delays that never postpone."""

from __future__ import annotations

import asyncio

from kubesim.controllers.queue import Queue
from tests.kubesim.controllers.world import Hands


async def test_a_key_is_handed_out_once_however_often_it_is_added() -> None:
    queue: Queue[str] = Queue(Hands())
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert not queue.idle
    queue.done("a")
    queue.done("b")
    assert queue.idle


async def test_a_key_added_while_worked_on_comes_again_after_done() -> None:
    queue: Queue[str] = Queue(Hands())
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a")
    assert await waiting == "a"


async def test_retries_come_later_each_time_until_forgotten() -> None:
    clock = Hands()
    queue: Queue[str] = Queue(clock)
    delays = []
    for _ in range(4):
        queue.retry("a")
        waited = 0.0
        while not len(queue):
            clock.advance(0.005)
            waited += 0.005
        delays.append(round(waited, 3))
        queue.done(await queue.get())
    assert delays == [0.005, 0.01, 0.02, 0.04]
    queue.forget("a")
    queue.retry("a")
    clock.advance(0.005)
    assert len(queue) == 1


async def test_a_delay_never_postpones_an_earlier_one() -> None:
    clock = Hands()
    queue: Queue[str] = Queue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 60)
    clock.advance(10)
    assert await queue.get() == "a"
    queue.done("a")
    queue.add_after("a", 60)
    queue.add_after("a", 5)
    clock.advance(5)
    assert await queue.get() == "a"
    queue.done("a")
    clock.advance(100)
    assert queue.idle
