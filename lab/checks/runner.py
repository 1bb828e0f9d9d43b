"""Runs checks: tenants side by side, a tenant's checks in order, one behind a failed one skipped with the cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lab.checks.answers import Answers
from lab.checks.base import Check, Failed, Result, State, Subject
from lab.errors import LabError
from lab.messages import t


def run(
    subjects: Sequence[Subject],
    checks: Sequence[Check],
    *,
    width: int = 8,
    done: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Every check on every subject; results in the order of subjects and checks."""

    def all_of(subject: Subject) -> list[Result]:
        results = []
        for result in on_one(subject, checks):
            done(result)
            results.append(result)
        return results

    with ThreadPoolExecutor(max_workers=max(1, min(width, len(subjects)))) as pool:
        return [result for results in pool.map(all_of, subjects) for result in results]


def on_one(subject: Subject, checks: Sequence[Check]) -> Iterator[Result]:
    """A requirement that is not among `checks` (another part) does not hold a check back. Every run asks the lab anew."""
    subject = replace(subject, answers=Answers())
    bad: dict[str, str] = {}
    for check in checks:
        cause = next((bad[code] for code in check.requires if code in bad), "")
        waiting = _result(subject, check, "skip", t("waits for {cause}", cause=cause), cause=cause) if cause else None
        result = waiting or _run(subject, check)
        if result.state != "pass":
            bad[check.code] = result.cause or check.code
        yield result


def _run(subject: Subject, check: Check) -> Result:
    started = time.monotonic()
    try:
        message = check.run(subject)
    except Failed as failed:
        return _result(subject, check, "fail", failed.message, hint=failed.hint, seconds=time.monotonic() - started)
    except LabError as error:
        return _result(subject, check, "fail", error.message, hint=error.hint, seconds=time.monotonic() - started)
    return _result(subject, check, "pass", message, seconds=time.monotonic() - started)


def _result(
    subject: Subject, check: Check, state: State, message: str, *, hint: str = "", cause: str = "", seconds: float = 0.0
) -> Result:
    return Result(
        tenant=subject.tenant.user,
        code=check.code,
        part=check.part,
        title=check.title,
        title_ko=check.title_ko,
        state=state,
        message=message,
        hint=hint,
        cause=cause,
        seconds=seconds,
    )
