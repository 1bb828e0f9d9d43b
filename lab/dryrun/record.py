"""What would be done, in the order in which it would be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn


class Ended(BaseException):
    """The rest of the task depends on what was not done. No Exception: nothing between here and the end of the task handles it."""


class Record:
    """Says a line per change. Safe to use from several threads."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self.changes = 0
        self.new_cluster = False
        """The cluster would only be started by this task: it is read as an empty one."""
        self.new_aws = False
        """The same of AWS."""

    def note(self, verb: str, what: str) -> None:
        """`verb` is an HTTP method, an AWS service, or start, build, stop, remove, write, do, ask, wait."""
        with self._lock:
            self.changes += verb not in ("ask", "wait")
            self._say(f"  {verb:<7} {what}")

    def end(self, verb: str, what: str) -> NoReturn:
        """Say it, and end the task."""
        self.note(verb, what)
        raise Ended(what)
