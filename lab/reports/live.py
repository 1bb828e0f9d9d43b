"""The terminal's report while the checks still run: what `text.render` gives for the same results, each line as soon as it is true.

One tenant's checks appear one by one. Of several tenants, which run side by side, a line appears when all of a tenant's checks are done and the
tenants before it have been shown, so that the order is always the class's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lab.checks.base import Check, Result
from lab.reports import text


class Live:
    """`tell` is called for every result, from any thread; `end` writes the last line."""

    def __init__(self, tenants: Sequence[str], checks: Sequence[Check], *, say: Callable[[str], None]) -> None:
        self._tenants, self._checks, self._say = list(tenants), len(checks), say
        self._told: dict[str, list[Result]] = {tenant: [] for tenant in tenants}
        self._lock = threading.Lock()
        self._alone = len(self._tenants) == 1
        if not self._alone:
            say(text.heading([check.part for check in checks]))

    def tell(self, result: Result) -> None:
        with self._lock:
            self._told[result.tenant].append(result)
            if self._alone:
                self._write(text.check(result))
            while not self._alone and self._tenants and len(self._told[self._tenants[0]]) == self._checks:
                self._write(text.tenant(self._told[self._tenants.pop(0)]))

    def end(self) -> None:
        self._write(["", text.total([result for results in self._told.values() for result in results])])

    def _write(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._say(line)
