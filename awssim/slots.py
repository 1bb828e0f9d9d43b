"""The parts of a multipart upload in one file, each at its own place, so that completing an upload copies nothing.

Clients cut an object into parts of one length, of which only the last is shorter: part n then begins at (n - 1) times that length. A part
that does not fit, or comes a second time, gets a file of its own, and the parts are then joined by copying. What is written at a place
counts only when the part is recorded; until then it is nobody's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NAME = "whole"
_FURTHEST = 1 << 40


@dataclass(frozen=True)
class Place:
    """Where a part is to be written."""

    path: Path
    offset: int


@dataclass
class Slots:
    """The places of one upload. Not for several threads: places are given out and taken back on the loop."""

    path: Path
    sealed: bool = False
    _length: int = 0
    _taken: set[int] = field(default_factory=set)
    _writing: int = 0

    @contextmanager
    def place(self, number: int, size: int) -> Iterator[Place | None]:
        """A place for part ``number`` while it is written, or None where it needs a file of its own."""
        self._length = self._length or size
        offset = (number - 1) * self._length
        if self.sealed or number in self._taken or not 0 < size <= self._length or not 0 <= offset < _FURTHEST:
            yield None
            return
        self._taken.add(number)
        self._writing += 1
        try:
            yield Place(self.path, offset)
        except BaseException:
            self._taken.discard(number)
            raise
        finally:
            self._writing -= 1

    def give_back(self, number: int) -> None:
        """The part was refused: its place is free for another try."""
        self._taken.discard(number)

    def seal(self, size: int) -> bool:
        """Is the file, as it is, the whole object of ``size`` bytes? Then nothing is written to it any more."""
        if self._writing or not self.path.is_file() or self.path.stat().st_size != size:
            return False
        self.sealed = True
        return True
