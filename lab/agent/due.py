"""Whose checks are to run next: those touched by a change first, else whoever was not looked at for longest.

A change is rarely alone (a Deployment, its ReplicaSet, its pod, the quota), so a tenant waits `SETTLE` seconds after the first change. One
that is touched while its checks run is due again afterwards: what they saw may be older than the change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

SETTLE = 0.2
GAP = 0.8
"""Seconds between two runs for the same tenant, so that a busy namespace does not keep the others waiting."""


class Due:
    """Safe to use from several threads; tenants are named by their two digits."""

    def __init__(self, *, sweep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._sweep = sweep
        self._clock = clock
        self._at: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._running: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False

    def people(self, numbers: Iterable[str]) -> None:
        """Who is in the class now. New ones are due at once."""
        with self._changed:
            wanted = set(numbers)
            for gone in self._last.keys() - wanted:
                self._last.pop(gone)
                self._at.pop(gone, None)
            for new in wanted - self._last.keys():
                self._last[new] = float("-inf")
                self._at.setdefault(new, self._clock())
            self._changed.notify_all()

    def touch(self, numbers: Iterable[str] | None = None) -> None:
        """Something of theirs changed; of everybody's where none is named."""
        with self._changed:
            for number in self._last if numbers is None else [one for one in numbers if one in self._last]:
                self._at.setdefault(number, max(self._clock() + SETTLE, self._last[number] + GAP))
            self._changed.notify_all()

    def next(self) -> str | None:
        """Waits for somebody to check, and marks them as running; None when closed."""
        with self._changed:
            while not self._closed:
                number, at = self._first()
                wait = at - self._clock()
                if number and wait <= 0:
                    self._at.pop(number, None)
                    self._running.add(number)
                    return number
                self._changed.wait(min(wait, self._sweep))
        return None

    def done(self, number: str) -> None:
        with self._changed:
            self._running.discard(number)
            if number in self._last:
                self._last[number] = self._clock()
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _first(self) -> tuple[str, float]:
        """The next one and when: touched ones by their time; else one in `sweep` seconds, the longest unseen."""
        touched = [(at, number) for number, at in self._at.items() if number not in self._running]
        if touched:
            at, number = min(touched)
            return number, at
        idle = [(at, number) for number, at in self._last.items() if number not in self._running]
        if not idle or self._running:
            return "", self._clock() + self._sweep
        newest = max(at for at, _ in idle)
        return min(idle)[1], newest + self._sweep
