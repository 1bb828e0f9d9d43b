"""Break one thing, prove that exactly the expected checks notice it, apply the cure, prove that all is green again.

A broken lab is never left behind: whatever ends a rehearsal, the mend runs first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lab import verify
from lab.checks.base import Result
from lab.faults import REGISTRY
from lab.faults.base import Fault
from lab.settings import Tenant
from lab.world import World


@dataclass(frozen=True)
class Rehearsal:
    """How one fault went. `problems` is empty where it went as the course teaches."""

    fault: str
    title: str
    tenant: str
    symptom: str
    cure: str
    red: tuple[str, ...]
    hints: tuple[str, ...]
    problems: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        return not self.problems


def active(world: World, people: Sequence[Tenant]) -> Iterator[tuple[Fault, Tenant]]:
    """What is broken now, found by looking at the lab."""
    for fault in REGISTRY:
        affected = people if fault.scope == "tenant" else people[:1]
        yield from ((fault, tenant) for tenant in affected if fault.active(world, tenant))


def rehearse(world: World, tenant: Tenant, faults: Sequence[Fault], *, say: Callable[[str], None]) -> list[Rehearsal]:
    """One fault after another; `say` gets a line per step."""
    return [_one(world, tenant, fault, say) for fault in faults]


def _one(world: World, tenant: Tenant, fault: Fault, say: Callable[[str], None]) -> Rehearsal:
    started = time.monotonic()
    say(f"{fault.name}: {fault.title}")
    bystander = verify.other(world, tenant)
    problems: list[str] = []
    try:
        fault.break_it(world, tenant)
        if not fault.active(world, tenant):
            problems.append("it did not break")
        broken = verify.verify(world, user=tenant.num)
        problems += _as_expected(fault, broken) + _untouched(world, fault, bystander)
        say(f"  ✗ {', '.join(_red(broken)) or 'nothing turned red'}")
    finally:
        fault.mend_it(world, tenant)
    healed = verify.verify(world, user=tenant.num)
    problems += [
        f"{result.code} is still {result.state} after the cure: {result.message}"
        for result in healed
        if result.state != "pass"
    ]
    for problem in problems:
        say(f"  ! {problem}")
    say(f"  {'✓ mended, all green' if not problems else 'not as expected'}")
    return Rehearsal(
        fault=fault.name,
        title=fault.title,
        tenant=tenant.user,
        symptom=fault.words(fault.symptom, world, tenant),
        cure=fault.words(fault.cure, world, tenant),
        red=tuple(_red(broken)),
        hints=tuple(dict.fromkeys(result.hint for result in broken if result.state == "fail" and result.hint)),
        problems=tuple(problems),
        seconds=time.monotonic() - started,
    )


def _red(results: Sequence[Result]) -> list[str]:
    return [result.code for result in results if result.state == "fail"]


def _as_expected(fault: Fault, results: Sequence[Result]) -> list[str]:
    red, expected = set(_red(results)), set(fault.reddens)
    problems = [f"{code} should have failed and did not" for code in sorted(expected - red)]
    problems += [
        f"{r.code} failed unexpectedly: {r.message}" for r in results if r.state == "fail" and r.code not in expected
    ]
    problems += [f"{r.code} failed without a hint" for r in results if r.state == "fail" and not r.hint]
    return problems


def _untouched(world: World, fault: Fault, bystander: Tenant) -> list[str]:
    """Another tenant's checks stay green, unless the fault is the whole lab's."""
    if fault.scope == "lab":
        return []
    results = verify.verify(world, user=bystander.num)
    return [f"{bystander.user} is touched: {r.code} {r.message}" for r in results if r.state == "fail"]


def report(rehearsals: Sequence[Rehearsal]) -> str:
    """Markdown that an instructor can print: symptom, what turned red, and what to say."""
    good = sum(rehearsal.good for rehearsal in rehearsals)
    lines = ["# Rehearsal", "", f"{good} of {len(rehearsals)} faults went as the course teaches.", ""]
    for number, one in enumerate(rehearsals, start=1):
        lines += [f"## {number}. {one.title} ({one.fault}, {one.tenant})", ""]
        lines += [
            f"- What the student sees: `{one.symptom}`",
            f"- Checks that turn red: {', '.join(one.red) or 'none'}",
        ]
        lines += [f"- The checks' hint: `{hint}`" for hint in one.hints]
        lines += [
            f"- Cure: `{one.cure}`",
            f"- Rehearsed in {one.seconds:.1f} s: {'as expected' if one.good else '; '.join(one.problems)}",
            "",
        ]
    return "\n".join(lines)
