"""Which keys need work, each worked on by one task at a time: the heart of a level-triggered controller.

Promises: a key added while it is being worked on is worked on once more afterwards, never at the same time; adding a waiting key again
costs nothing; a failed key comes back after a pause that doubles from `first` to `last` seconds and is forgotten on success. So a
reconcile may fail anywhere, also by losing the API server, and is simply done again from what the cluster says then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kubeflow_lite.errors import Conflict, KubeflowError

log = logging.getLogger(__name__)


class WorkQueue:
    """`work(key)` reconciles one object; it may raise anything."""

    def __init__(
        self, work: Callable[[str], Awaitable[None]], *, workers: int = 16, first: float = 0.05, last: float = 30.0
    ) -> None:
        self._work = work
        self._workers = workers
        self._first = first
        self._last = last
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}

    def add(self, key: str) -> None:
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                await self._once(key)
            finally:
                self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _once(self, key: str) -> None:
        """One attempt. The broad except is this program's outer layer: one broken object must not stop the others."""
        try:
            await self._work(key)
        except Conflict as error:
            log.info("%s: changed meanwhile, trying again: %s", key, error)
        except KubeflowError as error:
            log.warning("%s: %s", key, error)
        except Exception:
            log.exception("%s: reconcile failed", key)
        else:
            self._failures.pop(key, None)
            return
        self._retry(key)

    def _retry(self, key: str) -> None:
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        asyncio.get_running_loop().call_later(min(self._first * 2**count, self._last), self.add, key)
