"""A work queue of keys, as client-go's: a key is worked on by one worker at a time, and once more if it was added meanwhile.

Failed keys come back after a growing delay (5 ms doubling to a minute; client-go goes up to 16 minutes, too long
for somebody who has just raised a quota and watches); a success forgets the failures. A delayed add never postpones an
earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from kubesim.controllers.clock import Clock, Timer

K = TypeVar("K", bound=Hashable)

FIRST_DELAY = 0.005
LONGEST_DELAY = 60.0


class Queue(Generic[K]):
    """Keys waiting for a worker. All methods belong to the loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, tuple[datetime, Timer]] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being worked on (delayed keys do not count)."""
        return not self._waiting and not self._working

    def add(self, key: K) -> None:
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` once `seconds` have passed, unless it is due earlier anyway."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.now() + timedelta(seconds=seconds)
        scheduled = self._timers.get(key)
        if scheduled is not None:
            if scheduled[0] <= due:
                return
            scheduled[1].cancel()
        self._timers[key] = (due, self._clock.call_later(seconds, lambda: self._expire(key)))

    def _expire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def retry(self, key: K) -> None:
        """Add `key` again after a delay that doubles with each failure in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(FIRST_DELAY * 2.0 ** min(failures, 30), LONGEST_DELAY))

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key; the caller must call `done` with it."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Call off what is scheduled."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
