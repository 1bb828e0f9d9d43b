"""For those who work on the lab: measurements and tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from invoke.context import Context

from lab.commands.command import command
from lab.errors import Busy
from lab.messages import t

if TYPE_CHECKING:
    from lab.benches.rows import Row
    from lab.world import World


@command(name="lab", default=True)
def bench_lab(ctx: Context) -> None:
    """Measure start, memory, training and checks, on a lab of its own: ./inv bench"""
    from lab.benches.lab import lab

    _measure(lab)


@command(name="serve")
def bench_serve(ctx: Context) -> None:
    """Measure the iris service beside other model servers: ./inv bench serve"""
    from lab.benches.serve import serve

    _measure(serve)


@command(name="kubesim")
def bench_kubesim(ctx: Context) -> None:
    """Measure the Kubernetes simulator's API: writes, reads, lists, watches, start, memory: ./inv bench kubesim"""
    from lab.benches.kubesim import kubesim

    sys.exit(kubesim())


@command(name="aws")
def bench_aws(ctx: Context) -> None:
    """Measure the AWS stand-in beside plain ministack: ./inv bench aws"""
    from lab.benches.aws import aws

    _measure(aws)


@command(name="dashboard")
def bench_dashboard(ctx: Context) -> None:
    """Measure the dashboard in Chromium, with 8, 16 and 200 tenants: ./inv bench dashboard"""
    from lab.benches.dashboard import dashboard

    _measure(dashboard)


def _measure(benchmark: Callable[[World], list[Row]]) -> None:
    from lab import world
    from lab.benches import rows

    here = world.load()
    if here.provider.running():
        raise Busy(t("a lab is up, and would be measured along"), t("./inv down, then ./inv bench"))
    rows.show(benchmark(here))


@command(
    name="test",
    help={
        "only": "lint, layers, types or tests (all)",
        "k": "pytest's -k",
        "all_": "also the tests that take minutes each",
    },
)
def check(ctx: Context, only: str = "", k: str = "", all_: bool = False) -> None:
    """Lint, types, layers and tests: what CI runs: ./inv test --only types"""
    from lab import quality

    sys.exit(quality.main(only=only, k=k, everything=all_))
