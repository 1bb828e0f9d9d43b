"""Ending tasks for certain.

In Python 3.11 `asyncio.wait_for` may swallow a cancellation that arrives together with its result; a task in a loop then goes on as if nothing had
been said, and whoever waits for it waits for ever. So what is left after a second is told again, its children included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 1.0


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel and wait for all of them; their results and failures are dropped. For the end of a server, when every other task may end too."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        if pending:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
