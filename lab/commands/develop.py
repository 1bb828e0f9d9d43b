"""For those who work on the lab: measurements and tests."""

import sys

from invoke.context import Context

from lab.commands.command import command


@command(help={"what": "lab, or the name of one benchmark"})
def bench(ctx: Context, what: str = "lab") -> None:
    """Measure start, memory, training and checks on this machine."""
    from lab import bench as measurements
    from lab import world

    measurements.main(world.load(), what)


@command(
    name="test",
    help={
        "only": "lint, layers, types or tests (all)",
        "k": "pytest's -k",
        "all_": "also the tests that take minutes each",
    },
)
def check(ctx: Context, only: str = "", k: str = "", all_: bool = False) -> None:
    """Lint, types, layers and tests: what CI runs."""
    from lab import quality

    sys.exit(quality.main(only=only, k=k, everything=all_))
