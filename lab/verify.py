"""`invoke verify`: who is checked, by which checks, and how it is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import checks, fresh
from lab.checks.base import Check, Result, Subject
from lab.checks.runner import run
from lab.errors import LabError
from lab.messages import t
from lab.reports import data, guide
from lab.reports import html as page
from lab.reports.live import Live
from lab.settings import Tenant
from lab.world import World

WATCH_SECONDS = 3.0


@dataclass(frozen=True)
class Output:
    """Where the results go: `form` to the terminal (text, ko or json), and files beside it."""

    form: Literal["text", "ko", "json"] = "text"
    junit: str = ""
    html: str = ""


def output(*, as_json: bool, lang: str, junit: str, html: str) -> Output:
    if lang not in ("en", "ko"):
        raise LabError(t("no language {lang!r}", lang=lang), t("en or ko"))
    return Output("json" if as_json else "ko" if lang == "ko" else "text", junit, html)


def main(world: World, out: Output, *, user: str, part: str, watch: bool) -> int:
    """Report once, or again and again until green; returns the number of failed checks (at most 250, so that it fits an exit code)."""
    while True:
        results = _told(world, out, user=user, part=part)
        _files(results, out)
        failed = sum(result.state == "fail" for result in results)
        if not watch or not failed:
            return min(failed, 250)
        time.sleep(WATCH_SECONDS)


def _told(world: World, out: Output, *, user: str, part: str) -> list[Result]:
    """The results, after showing them: the terminal's text line by line as they come, the other forms whole."""
    if out.form != "text":
        results = verify(world, user=user, part=part)
        print({"ko": guide.render, "json": data.as_json}[out.form](results), flush=True)
        return results
    people, chosen = _people(world, user), choose(part)
    live = Live([tenant.user for tenant in people], chosen, say=lambda line: print(line, flush=True))
    results = run(subjects(world, people), chosen, done=live.tell)
    live.end()
    return results


def _files(results: Sequence[Result], out: Output) -> None:
    for path, render in ((out.junit, data.as_junit), (out.html, page.render)):
        if path:
            _write(Path(path), render(results))


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise LabError(
            t("cannot write {path}: {reason}", path=path, reason=error.strerror),
            t("name a file in a folder that exists and is yours"),
        ) from None


def verify(world: World, *, user: str = "", part: str = "") -> list[Result]:
    """Checks of one part or all, for the tenants named or all that were started ("", "all"), each as that tenant."""
    return run(subjects(world, _people(world, user)), choose(part))


def _people(world: World, user: str) -> tuple[Tenant, ...]:
    if world.visiting and user in ("", "all"):
        raise LabError(
            t("this cluster was not brought up by the lab: whose tenant are you there?"), "./inv verify --user 01 ..."
        )
    return started(world) if user in ("", "all") else world.settings.choose(user)


def choose(part: str) -> Sequence[Check]:
    if part and part not in checks.PARTS:
        raise LabError(
            t("no part {part!r} of the checks", part=part), t("one of: {parts}", parts=", ".join(checks.PARTS))
        )
    return [check for check in checks.REGISTRY if not part or check.part == part]


def subject(world: World, tenant: Tenant) -> Subject:
    return subjects(world, [tenant])[0]


def subjects(world: World, people: Sequence[Tenant]) -> list[Subject]:
    """Each of the people, with the tenant that they must be kept apart from."""
    neighbours = _circle(world)
    return [
        Subject(
            settings=world.settings,
            tenant=tenant,
            other=_next(tenant, neighbours),
            cluster=world.cluster_as(tenant),
            aws=world.aws_as(tenant).direct(),
        )
        for tenant in people
    ]


def started(world: World) -> tuple[Tenant, ...]:
    """The tenants that `up` has brought up; raises LabError where there is none."""
    numbers = fresh.started(world)
    if not numbers:
        raise LabError(t("no tenant has been started"), "./inv up")
    return world.settings.choose(",".join(numbers))


def started_one(world: World, number: str) -> Tenant:
    """The one tenant of that number; raises LabError for one that is not of this class, or was not brought up."""
    tenant = world.settings.one(number)
    if tenant.num not in fresh.started(world):
        raise LabError(t("tenant {user} has not been started", user=tenant.user), f"./inv up --tenants {tenant.num}")
    return tenant


def other(world: World, tenant: Tenant) -> Tenant:
    """The next tenant that was started, in a circle; on a visit, or where no other was, of all in lab.yaml."""
    return _next(tenant, _circle(world))


@dataclass(frozen=True)
class _Circle:
    everybody: Sequence[Tenant]
    started: Sequence[Tenant]


def _circle(world: World) -> _Circle:
    everybody = world.settings.people
    numbers = set() if world.visiting else set(fresh.started(world))
    return _Circle(everybody, [one for one in everybody if one.num in numbers])


def _next(tenant: Tenant, circle: _Circle) -> Tenant:
    found = [one for one in circle.started if one.num != tenant.num] or [
        one for one in circle.everybody if one.num != tenant.num
    ]
    if not found:
        raise LabError(
            t("lab.yaml has one tenant only: isolation cannot be checked"), t("add another user number to lab.yaml")
        )
    return next((one for one in found if one.num > tenant.num), found[0])
