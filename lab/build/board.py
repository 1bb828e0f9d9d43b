"""How builds are shown: a line per image that moves on a terminal, a line per finished image elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.build.images import Built
from lab.clusters.base import Image
from lab.messages import t

LIMITS = {"serving": 250, "training": 600, "mlflow": 600}
"""Megabytes that an image is meant to stay under."""


class Board:
    """A context manager; `report` and `done` may be called from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._steps: dict[str, str] = {}
        self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Board:
        if self.console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self._live.__exit__(None, None, None)

    def report(self, image: Image, text: str) -> None:
        self._steps = {**self._steps, image.tag: text}

    def done(self, built: Built) -> None:
        self._steps = {tag: text for tag, text in self._steps.items() if tag != built.tag}
        how = "unchanged" if built.skipped else f"{built.seconds:.1f} s"
        self.console.print(f"✓ {built.tag:<28}{how:>10}", markup=False, soft_wrap=True)

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for tag, text in self._steps.items():
            table.add_row(Text("·", "cyan"), tag, Text(text, "dim", no_wrap=True, overflow="ellipsis"))
        return table


def sizes(built: Sequence[Built], console: Console | None = None) -> None:
    """The table at the end; an image over its limit is said to be."""
    shown = console or Console(highlight=False)
    for item in built:
        limit, size = LIMITS.get(item.image.dockerfile.parent.name, 0), item.size / 1e6
        note = t(" of {limit}", limit=limit) if limit else ""
        over = t(" (too large)") if limit and size > limit else ""
        shown.print(f"  {item.pinned:<44}{size:6.0f} MB{note}{over}", markup=False, soft_wrap=True)
