"""For those who work on the lab: measurements and tests."""

import subprocess
import sys

from invoke.context import Context

from lab.commands.command import command


@command(name="lab", default=True)
def bench_lab(ctx: Context) -> None:
    """Measure start, memory, training and checks, on a lab of its own."""
    _bench("lab")


@command(name="serve")
def bench_serve(ctx: Context) -> None:
    """Measure the iris service beside other model servers."""
    _bench("serve")


@command(name="kubesim")
def bench_kubesim(ctx: Context) -> None:
    """Measure the Kubernetes simulator's API: writes, reads, lists, watches, start, memory."""
    sys.exit(subprocess.run([sys.executable, "-m", "kubesim.bench"], check=False).returncode)


@command(name="aws")
def bench_aws(ctx: Context) -> None:
    """Measure the AWS stand-in beside plain ministack."""
    _bench("aws")


def _bench(what: str) -> None:
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
