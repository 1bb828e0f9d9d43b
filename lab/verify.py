"""`invoke verify`: who is checked, by which checks, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence

from lab import checks, fresh
from lab.checks.base import Check, Result, Subject
from lab.checks.runner import run
from lab.errors import LabError
from lab.reports import data, guide, text
from lab.settings import Tenant
from lab.world import World


def main(world: World, *, user: str, part: str, as_json: bool, lang: str) -> int:
    """Print the report; returns the number of failed checks (at most 250, so that it fits an exit code)."""
    if lang not in ("en", "ko"):
        raise LabError(f"no language {lang!r}", "en or ko")
    results = verify(world, user=user, part=part)
    print(data.as_json(results) if as_json else guide.render(results) if lang == "ko" else text.render(results))
    return min(sum(result.state == "fail" for result in results), 250)


def verify(world: World, *, user: str = "", part: str = "") -> list[Result]:
    """Checks of one part or all, for the tenants named or all that were started, each as that tenant."""
    people = world.settings.choose(user) if user else started(world)
    return run([subject(world, tenant) for tenant in people], choose(part))


def choose(part: str) -> Sequence[Check]:
    if part and part not in checks.PARTS:
        raise LabError(f"no part {part!r} of the checks", f"one of: {', '.join(checks.PARTS)}")
    return [check for check in checks.REGISTRY if not part or check.part == part]


def subject(world: World, tenant: Tenant) -> Subject:
    return Subject(
        settings=world.settings,
        tenant=tenant,
        other=other(world, tenant),
        cluster=world.cluster_as(tenant),
        aws=world.aws_as(tenant),
    )


def started(world: World) -> tuple[Tenant, ...]:
    """The tenants that `up` has brought up; raises LabError where there is none."""
    numbers = fresh.started(world)
    if not numbers:
        raise LabError("no tenant has been started", "./inv up")
    return world.settings.choose(",".join(numbers))


def other(world: World, tenant: Tenant) -> Tenant:
    """The next tenant that was started, in a circle; any other one of lab.yaml where none was."""
    people = list(world.settings.people)
    numbers = fresh.started(world)
    started = [one for one in people if one.num in numbers and one != tenant] or [
        one for one in people if one != tenant
    ]
    if not started:
        raise LabError(
            "lab.yaml has one tenant only: isolation cannot be checked", "add another user number to lab.yaml"
        )
    return next((one for one in started if one.num > tenant.num), started[0])
