"""One write to disk for all the calls that wait for one: saving a service takes longer the more it holds, and many calls at once set up a class."""

import asyncio
from collections.abc import Callable


class Saving:
    """`saved` returns once a save that began after it was asked for has ended, and raises what that save raised."""

    def __init__(self, save: Callable[[str], None]) -> None:
        self._save = save
        self._coming: dict[str, asyncio.Task[None]] = {}

    async def saved(self, service: str) -> None:
        coming = self._coming.get(service)
        if coming is None:
            coming = self._coming[service] = asyncio.create_task(self._later(service))
        await asyncio.shield(coming)

    async def _later(self, service: str) -> None:
        """After the requests that have arrived meanwhile: their changes are in this save too."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del self._coming[service]
        self._save(service)
