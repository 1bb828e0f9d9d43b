"""Threads beside the loop, which is never made to wait for one of them.

They are nicer than the loop, so that on a busy machine short answers come first. But whoever wakes the loop from a thread of asyncio's own
does so while he holds the interpreter's lock: the loop takes his processor at once, then needs his lock, and has to wait until a nicer
thread has its turn among all that the machine has to do (a tenth of a second and more). Here the loop is woken by a byte in a socket, which
is sent with the lock let go.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

_THREADS = 16
_NICER = 5
T = TypeVar("T")


class Workers(ThreadPoolExecutor):
    """For the loop's default executor: what its futures bring is told on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(_THREADS, thread_name_prefix="awssim-worker", initializer=_be_nice)
        self._done: deque[Callable[[], None]] = deque()
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._loop = loop
        loop.add_reader(self._woken, self._tell)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        told: Future[T] = Future()
        super().submit(self._work, told, partial(fn, *args, **kwargs))
        return told

    def _work(self, told: Future[T], call: Callable[[], T]) -> None:
        """In a thread."""
        if not told.set_running_or_notify_cancel():
            return
        try:
            tell = partial(told.set_result, call())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it, whatever it is
            tell = partial(told.set_exception, error)
        self._done.append(tell)
        with contextlib.suppress(OSError):  # the loop has ended, and nobody waits any more
            self._wake.send(b"\0")

    def _tell(self) -> None:
        """On the loop."""
        self._woken.recv(4096)
        while self._done:
            self._done.popleft()()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """asyncio calls it twice: in a thread while the loop still runs, and when the loop is closed."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if self._loop.is_closed():
            self._close()
        else:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._loop.remove_reader(self._woken)
        self._close()

    def _close(self) -> None:
        for end in (self._woken, self._wake):
            end.close()


def _be_nice() -> None:
    if sys.platform == "linux":  # where 0 is the calling thread, and not the process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _NICER)
