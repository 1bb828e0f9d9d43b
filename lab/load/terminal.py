"""Where a load's lines go: on a terminal one line that changes, in a pipe a line every few seconds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TextIO

EVERY = 5
_CLEAR = "\r\x1b[K"


@dataclass
class Screen:
    """`stay` prints a line for good, `live` one that the next replaces."""

    out: TextIO
    told: int = field(default=0, init=False)

    def live(self, line: str) -> None:
        if self.out.isatty():
            self.out.write(_CLEAR + line[: shutil.get_terminal_size().columns - 1])
        elif self.told % EVERY == 0:
            self.out.write(line + "\n")
        self.told += 1
        self.out.flush()

    def stay(self, line: str) -> None:
        self.out.write((_CLEAR if self.out.isatty() else "") + line + "\n")
        self.out.flush()
