"""What is left of a load when it has ended: a table for the terminal, JSON for programs, the picture beside it. Pure but for writing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab.host.files import write_private
from lab.load import picture
from lab.load.run import Load
from lab.load.samples import Second, Sum, total
from lab.messages import mark, t
from lab.messages.cells import right

PARTS = 6
HEAD = (
    (mark("seconds"), 12),
    (mark("sent"), 8),
    (mark("answered"), 10),
    (mark("failed"), 8),
    (mark("again"), 7),
    ("p50 ms", 9),
    ("p99 ms", 9),
    (mark("pods"), 7),
    ("CPU %", 7),
)
"""The columns, right-aligned, and their cells."""


def table(load: Load) -> list[str]:
    """The load in PARTS stretches of time, then what came afterwards, then the whole."""
    head = "".join(right(t(name), cells) for name, cells in HEAD)
    rows = [_row(load, begin, end) for begin, end in stretches(load)]
    return [
        head,
        *rows,
        _line(t("all"), total(load.samples.seconds), pods=_spread([look.ready for look in load.looks]), cpu=""),
    ]


def stretches(load: Load) -> list[tuple[int, int]]:
    """Second to second: the pattern's time in equal parts, then the rest as one."""
    ended, seconds = len(load.samples.seconds), int(load.pattern.seconds)
    size = max(1, -(-seconds // PARTS))
    cuts = sorted({*range(0, min(seconds, ended), size), min(seconds, ended), ended})
    return list(pairwise(cuts))


def _row(load: Load, begin: int, end: int) -> str:
    looks = [look for look in load.looks if begin <= look.time < end]
    cpu = [look.cpu for look in looks if look.cpu is not None]
    return _line(
        f"{begin} - {end}",
        total(load.samples.seconds[begin:end]),
        pods=_spread([look.ready for look in looks]),
        cpu=_spread(cpu),
    )


def _spread(values: list[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"


def _line(name: str, one: Sum, *, pods: str, cpu: str) -> str:
    figures = "".join(f"{_number(value):>9}" for value in (one.p50, one.p99))
    return f"{right(name, 12)}{one.sent:>8}{one.answered:>10}{one.failed:>8}{one.retried:>7}{figures}{pods:>7}{cpu:>9}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def verdict(load: Load) -> list[str]:
    """In words: what failed and why, what the replicas did, who answered."""
    whole, (first, most, last) = total(load.samples.seconds), load.replicas
    lines = [
        t("{failed} of {sent} requests failed", failed=whole.failed, sent=whole.sent) + _reasons(load.samples.reasons)
    ]
    if whole.retried:
        lines.append(
            t("{retried} were asked again, for their connection ended before an answer began", retried=whole.retried)
        )
    lines.append(t("replicas {first} -> {most} -> {last}", first=first, most=most, last=last))
    releases = sum((second.releases for second in load.samples.seconds), start=Counter[str]())
    lines.append(t("answers by release: ") + ", ".join(f"{name} {count}" for name, count in sorted(releases.items())))
    return [*lines, *(t("at {time:.0f} s: {what}", time=event.time, what=event.what) for event in load.happened)]


def _reasons(reasons: Counter[str]) -> str:
    return ": " + ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(5)) if reasons else ""


def as_json(load: Load) -> dict[str, Any]:
    """Everything measured; latencies in ms."""
    first, most, last = load.replicas
    return {
        "pattern": asdict(load.pattern),
        "total": asdict(total(load.samples.seconds)),
        "reasons": dict(load.samples.reasons),
        "replicas": {"first": first, "most": most, "last": last},
        "happened": [asdict(event) for event in load.happened],
        "seconds": [_second(second) for second in load.samples.seconds],
        "looks": [asdict(look) for look in load.looks],
    }


def _second(second: Second) -> dict[str, Any]:
    return asdict(total([second])) | {"releases": dict(second.releases), "pods": dict(second.pods)}


def write(load: Load, folder: Path) -> tuple[Path, Path]:
    """`load.svg` and `load.json` in a folder."""
    drawn, data = folder / "load.svg", folder / "load.json"
    write_private(drawn, picture.render(load))
    write_private(data, json.dumps(as_json(load), indent=1))
    return drawn, data


def failures(load: Load) -> int:
    """How many requests failed."""
    return total(load.samples.seconds).failed
