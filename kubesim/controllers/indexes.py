"""Completion indexes as a Job's status writes them: "1,3-5,7"."""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str, limit: int) -> set[int]:
    """The indexes in `text` that are below `limit`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), min(int(last or first) + 1, limit)))
    return found


def text_of(indexes: Iterable[int]) -> str:
    """Ascending, runs of two or more joined: {1, 3, 4, 5} is "1,3-5"."""
    parts: list[str] = []
    runs: list[list[int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    for run in runs:
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(parts)
