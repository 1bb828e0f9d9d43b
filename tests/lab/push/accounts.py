"""The stand-in as a process, with the buckets, repositories and IAM users that `invoke up` makes for users 01 and 02."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import settings
from lab.aws import resources
from lab.aws.standin import StandIn
from lab.clusters.sim import Sim
from lab.tenancy import tenants, users
from lab.world import World
from tests.lab.aws.test_localstack import free_port
from tests.lab.test_settings import MINIMAL, write


@contextmanager
def with_accounts(folder: Path) -> Iterator[World]:
    environ = {"LAB_STATE": str(folder / "lab"), "LAB_AWS": "standin", "LAB_PORTS_AWS": str(free_port())}
    loaded = settings.load(write(folder, MINIMAL), environ)
    made = World(loaded, Sim(loaded), "", StandIn(loaded), "")
    made.aws.start()
    try:
        there = resources.inventory(made.root, loaded)
        for tenant in loaded.choose("01,02"):
            groups = tenants.groups(tenant)
            keys = resources.provide_tenant(made.root, loaded, tenant, groups=groups, known=None, there=there)
            users.write_keys(loaded, tenant.user, keys)
        yield made
    finally:
        made.aws.delete()
