"""How far a bundle is: one line that moves on a terminal, a plain line every few seconds elsewhere, so that a log shows it too."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

EVERY = 10.0
"""Seconds between plain lines."""


class Moving:
    """A context manager. `say` writes a line that stays, `at` the moving one; both may be called from several threads."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(highlight=False)
        self._clock, self._last = clock, clock()
        self._status = self.console.status("")

    def __enter__(self) -> Moving:
        if self.console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._status.stop()

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)
        self._last = self._clock()

    def at(self, text: str) -> None:
        if self.console.is_terminal:
            self._status.update(text)
        elif self._clock() - self._last >= EVERY:
            self.say(f"  {text}")
