"""What a benchmark gives: rows of a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lab.messages import t
from lab.messages.cells import left, right


@dataclass(frozen=True)
class Row:
    """One measurement; `aim` is what the project promises for two cores, `cpu` the seconds of processor time it took."""

    name: str
    value: float
    unit: str
    aim: str = ""
    cpu: float | None = None


def show(rows: Sequence[Row]) -> None:
    print(f"\n{left(t('measured'), 56)}{right(t('value'), 12)}  {right(t('aim'), 10)}  {right(t('CPU s'), 6)}")
    for row in rows:
        cpu = "" if row.cpu is None else f"{row.cpu:6.1f}"
        print(f"{left(row.name, 56)}{row.value:>9.2f} {row.unit:<3} {row.aim:>10}  {cpu:>6}".rstrip())
    print(t("\n{cores} cores, Python {version}", cores=len(os.sched_getaffinity(0)), version=sys.version.split()[0]))
