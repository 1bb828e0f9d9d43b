"""For a terminal: one line per check for one tenant, one line per tenant for several, every failure with its cure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.checks.base import Result

MARKS = {"pass": "✓", "fail": "✗", "skip": "-"}


def render(results: Sequence[Result]) -> str:
    tenants = list(dict.fromkeys(result.tenant for result in results))
    body = _one(results) if len(tenants) == 1 else _many(results, tenants)
    return "\n".join([*body, "", total(results)])


def total(results: Sequence[Result]) -> str:
    counted = {state: sum(result.state == state for result in results) for state in MARKS}
    tenants = len({result.tenant for result in results})
    return f"{counted['pass']} of {len(results)} checks passed, {counted['fail']} failed, {counted['skip']} skipped ({tenants} tenants)"


def _one(results: Sequence[Result]) -> list[str]:
    lines = []
    for result in results:
        lines.append(f"{MARKS[result.state]} {result.code} {result.title:<32}{result.message}")
        lines += _cure(result)
    return lines


def _many(results: Sequence[Result], tenants: Sequence[str]) -> list[str]:
    parts = list(dict.fromkeys(result.part for result in results))
    lines = ["tenant  " + "".join(f"{part:<14}" for part in parts)]
    for tenant in tenants:
        own = [result for result in results if result.tenant == tenant]
        lines.append(f"{tenant:<8}" + "".join(f"{_count([r for r in own if r.part == part]):<14}" for part in parts))
        for result in own:
            if result.state == "fail":
                lines += [f"  ✗ {result.code} {result.title}: {result.message}", *_cure(result)]
    return lines


def _count(results: Sequence[Result]) -> str:
    passed = sum(result.state == "pass" for result in results)
    return f"{'✓' if passed == len(results) else '✗'} {passed}/{len(results)}"


def _cure(result: Result) -> list[str]:
    return [f"    → {result.hint}"] if result.state == "fail" and result.hint else []
