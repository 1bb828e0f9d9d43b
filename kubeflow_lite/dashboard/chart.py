"""A small line chart as SVG, drawn on the server: nothing to load, nothing to run, and a screen reader is told the numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 120
_TOP, _BOTTOM = 8, 4


@dataclass(frozen=True)
class Drawing:
    """Paths in a box of WIDTH x HEIGHT. `line` may have gaps; `mark` is the height of a threshold, `top` the value at the top."""

    line: str
    area: str
    top: float
    mark: float | None
    end: tuple[float, float] | None


def draw(
    values: Sequence[float | None], *, slots: int, least: float = 1.0, mark: float | None = None, steps: bool = False
) -> Drawing:
    """The latest value is at the right edge; `slots` values fill the width. `least` is the smallest top, `mark` a threshold to draw."""
    top = ceiling(max([least, *(value for value in values if value is not None), *([mark] if mark else [])]))
    points = [
        (round(WIDTH * (slots - len(values) + index) / max(1, slots - 1), 1), None if value is None else _y(value, top))
        for index, value in enumerate(values)
    ]
    runs = _runs(points)
    line = " ".join(_path(run, steps) for run in runs)
    area = " ".join(f"{_path(run, steps)} L{run[-1][0]} {HEIGHT} L{run[0][0]} {HEIGHT} Z" for run in runs)
    end = runs[-1][-1] if runs and points[-1][1] is not None else None
    return Drawing(line, area, top, _y(mark, top) if mark else None, end)


def ceiling(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten: an axis that does not jump with every value."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def _y(value: float, top: float) -> float:
    return round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - min(value, top) / top), 1)


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _path(run: Sequence[tuple[float, float]], steps: bool) -> str:
    (x, y), *rest = run
    if steps:
        return f"M{x} {y} " + " ".join(f"H{to_x} V{to_y}" for to_x, to_y in rest)
    return f"M{x} {y} " + " ".join(f"L{to_x} {to_y}" for to_x, to_y in rest)
