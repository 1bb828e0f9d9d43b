"""What a benchmark gives: rows of a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement; `aim` is what the project promises for two cores, `cpu` the seconds of processor time it took."""

    name: str
    value: float
    unit: str
    aim: str = ""
    cpu: float | None = None


def show(rows: Sequence[Row]) -> None:
    print(f"\n{'measured':<56}{'value':>12}  {'aim':>10}  {'CPU s':>6}")
    for row in rows:
        cpu = "" if row.cpu is None else f"{row.cpu:6.1f}"
        print(f"{row.name:<56}{row.value:>9.2f} {row.unit:<3} {row.aim:>10}  {cpu:>6}".rstrip())
    print(f"\n{len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}")
