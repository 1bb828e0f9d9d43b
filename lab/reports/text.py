"""For a terminal: one line per check for one tenant, one line per tenant for several, every failure with its cure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lab.checks.base import Result
from lab.messages import plural, t
from lab.messages.cells import left

MARKS = {"pass": "✓", "fail": "✗", "skip": "-"}


def render(results: Sequence[Result]) -> str:
    people = [list(own) for _, own in groupby(results, key=lambda result: result.tenant)]
    if len(people) == 1:
        body = [line for result in results for line in check(result)]
    else:
        body = [heading([result.part for result in results]), *(line for own in people for line in tenant(own))]
    return "\n".join([*body, "", total(results)])


def total(results: Sequence[Result]) -> str:
    counted = {state: sum(result.state == state for result in results) for state in MARKS}
    return plural(
        "{passed} of {total} checks passed, {failed} failed, {skipped} skipped ({count} tenant)",
        "{passed} of {total} checks passed, {failed} failed, {skipped} skipped ({count} tenants)",
        count=len({result.tenant for result in results}),
        passed=counted["pass"],
        total=len(results),
        failed=counted["fail"],
        skipped=counted["skip"],
    )


def check(result: Result) -> list[str]:
    """One check of one tenant, with its cure."""
    return [f"{MARKS[result.state]} {result.code} {left(result.named, 32)}{result.message}", *_cure(result)]


def heading(parts: Sequence[str]) -> str:
    """Above several tenants: a column for each part."""
    return left(t("tenant"), 8) + "".join(f"{part:<14}" for part in dict.fromkeys(parts))


def tenant(results: Sequence[Result]) -> list[str]:
    """One tenant of several: how many checks of each part passed, and the failures."""
    parts = dict.fromkeys(result.part for result in results)
    counts = "".join(f"{_count([r for r in results if r.part == part]):<14}" for part in parts)
    lines = [f"{results[0].tenant:<8}{counts}"]
    for result in results:
        if result.state == "fail":
            lines += [f"  ✗ {result.code} {result.named}: {result.message}", *_cure(result)]
    return lines


def _count(results: Sequence[Result]) -> str:
    passed = sum(result.state == "pass" for result in results)
    return f"{'✓' if passed == len(results) else '✗'} {passed}/{len(results)}"


def _cure(result: Result) -> list[str]:
    return [f"    → {result.hint}"] if result.state == "fail" and result.hint else []
