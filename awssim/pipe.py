"""Large bodies beside the loop: blocks go to consumers in other threads while the next block arrives.

Hashes and writes let go of the interpreter's lock, so a body's checks and its file proceed at once, and the loop goes on answering. A
block is the pieces as they came, never joined: a gigabyte is not copied once more for each step it takes.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence

BLOCK = 1 << 20
_SMALL = 256 * 1024
_MOST_PIECES = 256
_PROCESSORS = os.cpu_count() or 1

Piece = bytes | memoryview
Pieces = Sequence[Piece]
Consumer = Callable[[Pieces], None]


class Pipe:
    """Hands blocks to its consumers in threads: one block is under way, one is being filled.

    Each consumer has a thread of its own, so that a body alone is hashed and written at once; where as many bodies as there are
    processors come in, one thread takes a block through all of them, and fewer threads wake each other.
    """

    _under_way = 0

    def __init__(self, *consumers: Consumer) -> None:
        self._consumers = consumers
        self._pieces: list[Piece] = []
        self._size = 0
        self._jobs: list[asyncio.Future[None]] = []

    async def put(self, data: Piece) -> None:
        if not data:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            pieces = self._taken()
            await self._settle()
            self._begin(pieces)

    def _begin(self, pieces: Pieces) -> None:
        loop = asyncio.get_running_loop()
        if Pipe._under_way < _PROCESSORS:
            self._jobs = [loop.run_in_executor(None, consume, pieces) for consume in self._consumers]
        else:
            self._jobs = [loop.run_in_executor(None, self._consume, pieces)]
        Pipe._under_way += 1

    def _consume(self, pieces: Pieces) -> None:
        for consume in self._consumers:
            consume(pieces)

    def _taken(self) -> list[Piece]:
        pieces, self._pieces, self._size = self._pieces, [], 0
        return [b"".join(pieces)] if len(pieces) > _MOST_PIECES else pieces

    async def end(self) -> None:
        """Hand over what is left, and wait until all of it is consumed."""
        await self._settle()
        small, pieces = self._size <= _SMALL, self._taken()
        if pieces and small:
            self._consume(pieces)
        elif pieces:
            self._begin(pieces)
            await self._settle()

    async def _settle(self) -> None:
        """Wait for the block under way, however it ends: its consumers may not be left to run beside what comes next."""
        if jobs := self._jobs:
            await asyncio.shield(asyncio.gather(*jobs, return_exceptions=True))
            self._jobs = []
            Pipe._under_way -= 1
            for job in jobs:
                job.result()

    async def abandon(self) -> None:
        """Wait for what is under way, so that its file may be removed; what went wrong there does not matter any more."""
        with contextlib.suppress(OSError):
            await self._settle()


def write_all(descriptor: int, pieces: Pieces) -> None:
    """Write all pieces, however little the kernel takes at a time."""
    views = [memoryview(piece) for piece in pieces]
    while views:
        written = os.writev(descriptor, views)
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if views:
            views[0] = views[0][written:]
