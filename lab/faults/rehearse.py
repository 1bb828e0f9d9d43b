"""Break one thing, prove that exactly the expected checks notice it, apply the cure, prove that all is green again.

A broken lab is never left behind: whatever ends a rehearsal, Ctrl-C and SIGTERM too, the mend runs first, and a second Ctrl-C waits for it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from lab import verify
from lab.checks.base import Result
from lab.errors import LabError
from lab.faults import REGISTRY
from lab.faults.base import Fault
from lab.faults.outcome import Rehearsal
from lab.faults.words import WORDS
from lab.messages import t
from lab.settings import Tenant
from lab.world import World


def active(world: World, people: Sequence[Tenant]) -> Iterator[tuple[Fault, Tenant]]:
    """What is broken now, found by looking at the lab."""
    for fault in REGISTRY:
        affected = people if fault.scope == "tenant" else people[:1]
        yield from ((fault, tenant) for tenant in affected if fault.active(world, tenant))


def rehearse(world: World, tenant: Tenant, faults: Sequence[Fault], *, say: Callable[[str], None]) -> list[Rehearsal]:
    """One fault after another; `say` gets a line per step."""
    with _terminated_as_interrupted():
        return [_one(world, tenant, fault, say) for fault in faults]


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP (a closed terminal) end a rehearsal as Ctrl-C does: through its `finally`."""
    with _handled((signal.SIGTERM, signal.SIGHUP), signal.default_int_handler):
        yield


@contextmanager
def _uninterrupted(say: Callable[[str], None]) -> Iterator[None]:
    """Until the block is done, signals only say that it goes on."""

    def later(_: int, __: FrameType | None) -> None:
        say(t("  … mending first, a moment"))

    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), later):
        yield


@contextmanager
def _handled(signals: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _one(world: World, tenant: Tenant, fault: Fault, say: Callable[[str], None]) -> Rehearsal:
    started = time.monotonic()
    say(f"{fault.name}: {t(fault.title)}")
    bystanders = neighbours(world, tenant)
    broken, problems = _break(world, tenant, fault, bystanders, say)
    healed = verify.verify(world, user=tenant.num)
    problems += [
        t(
            "{code} is still {state} after the cure: {message}",
            code=result.code,
            state=result.state,
            message=result.message,
        )
        for result in healed
        if result.state != "pass"
    ]
    for problem in problems:
        say(f"  ! {problem}")
    say(f"  {t('✓ mended, all green') if not problems else t('not as expected')}")
    words = WORDS[fault.name]
    return Rehearsal(
        fault=fault.name,
        title=t(fault.title),
        tenant=tenant.user,
        bystander=", ".join(one.user for one in bystanders) if fault.scope == "tenant" else "",
        who=words.who,
        symptom=fault.words(fault.symptom, world, tenant),
        cure=fault.words(fault.cure, world, tenant),
        english=fault.words(words.english, world, tenant),
        korean=fault.words(words.korean, world, tenant),
        red=tuple(_red(broken)),
        hints=tuple(dict.fromkeys(result.hint for result in broken if result.state == "fail" and result.hint)),
        problems=tuple(problems),
        seconds=time.monotonic() - started,
    )


def _break(
    world: World, tenant: Tenant, fault: Fault, bystanders: Sequence[Tenant], say: Callable[[str], None]
) -> tuple[list[Result], list[str]]:
    """What the checks said while it was broken, and what was not as expected; it is mended when this ends, however it ends."""
    broken: list[Result] = []
    problems: list[str] = []
    interrupted = True
    try:
        fault.break_it(world, tenant)
        problems += [] if fault.active(world, tenant) else [t("it did not break")]
        broken = verify.verify(world, user=tenant.num)
        hint = fault.words(fault.hint, world, tenant)
        problems += _as_expected(fault, broken, hint) + _untouched(world, fault, bystanders)
        say(f"  ✗ {', '.join(_red(broken)) or t('nothing turned red')}")
        interrupted = False
    except LabError as error:
        problems += [t("it could not be rehearsed: {why}", why=_why(error))]
        interrupted = False
    finally:
        with _uninterrupted(say):
            unmended = _mend(world, tenant, fault)
        for problem in unmended if interrupted else []:
            say(f"  ! {problem}")
    return broken, problems + unmended


def _mend(world: World, tenant: Tenant, fault: Fault) -> list[str]:
    """A cure that does not take effect in time is a problem of this fault, to be reported; it does not end the rehearsal of the others."""
    try:
        fault.mend_it(world, tenant)
    except LabError as error:
        return [t("it could not be mended: {why}", why=_why(error))]
    return []


def _why(error: LabError) -> str:
    return error.message + (f" ({error.hint})" if error.hint else "")


def _red(results: Sequence[Result]) -> list[str]:
    return [result.code for result in results if result.state == "fail"]


def _as_expected(fault: Fault, results: Sequence[Result], hint: str) -> list[str]:
    """Exactly the expected checks are red, and each of them tells the tenant what to type."""
    red, expected = set(_red(results)), set(fault.reddens)
    problems = [t("{code} should have failed and did not", code=code) for code in sorted(expected - red)]
    problems += [
        t("{code} failed unexpectedly: {message}", code=r.code, message=r.message)
        for r in results
        if r.state == "fail" and r.code not in expected
    ]
    problems += [
        t("the hint of {code} does not say: {hint}", code=r.code, hint=hint)
        for r in results
        if r.state == "fail" and hint not in r.hint
    ]
    return problems


def neighbours(world: World, tenant: Tenant) -> tuple[Tenant, ...]:
    """Who would notice first: the tenant whose isolation this one's checks try, and who tries this one's. Nobody in a lab of one."""
    others = [one for one in verify.started(world) if one != tenant]
    tried = verify.other(world, tenant)
    return tuple(one for one in others if one == tried or verify.other(world, one) == tenant)


def _untouched(world: World, fault: Fault, bystanders: Sequence[Tenant]) -> list[str]:
    """Other tenants' checks stay green, unless the fault is the whole lab's."""
    if fault.scope == "lab" or not bystanders:
        return []
    results = verify.verify(world, user=",".join(one.num for one in bystanders))
    return [
        t("{user} is touched: {code} {message}", user=r.tenant, code=r.code, message=r.message)
        for r in results
        if r.state == "fail"
    ]
