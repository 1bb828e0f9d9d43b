"""The Profile controller killed at any point, and begun anew."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, deleting, metadata
from kubeflow_lite.profiles.controller import PROFILES, ProfileController
from kubeflow_lite.profiles.naming import Naming
from tests.kubeflow_lite.conftest import Cluster, until
from tests.kubeflow_lite.profiling import assert_as_desired, body, is_ready, ready

QUOTA = {"hard": {"cpu": "8", "memory": "16Gi"}}


class Killed(BaseException):
    """No handler of the program's can catch it, as none can catch a kill."""


class Dying(Client):
    """A client that is cut off before its n-th write, as a killed controller is."""

    def __init__(self, cluster: Cluster, writes: int) -> None:
        super().__init__(cluster.access)
        self.left = writes

    async def _call(self, method: str, target: str, **rest: Any) -> Object:
        if method != "GET":
            self.left -= 1
            if self.left < 0:
                raise Killed
        return await super()._call(method, target, **rest)


NAMING = Naming("dying-{num}", "dead-{num}")


async def test_killed_before_any_write_it_converges(cluster: Cluster, client: Client) -> None:
    """For every n: make a Profile, die before the n-th write, begin anew; then delete it the same way. No part is special."""
    finished = 0
    for writes in range(40):
        profile_name = f"dying-{writes:02}"
        await client.create(PROFILES, body(profile_name, resourceQuotaSpec=QUOTA))
        async with Dying(cluster, writes) as dying:
            with contextlib.suppress(Killed):
                await ProfileController(dying, NAMING).reconcile(profile_name)
                finished += 1
        await ProfileController(client, NAMING).reconcile(profile_name)
        profile = await client.get(PROFILES, profile_name)
        assert is_ready(profile)
        await assert_as_desired(client, profile)
        if finished > 1:
            break
    assert finished == 2, "the last two had enough writes"
    assert writes > 10, "each of the eleven writes was cut off once"


async def test_a_converged_profile_costs_no_write(cluster: Cluster, client: Client) -> None:
    await client.create(PROFILES, body("dying-quiet", resourceQuotaSpec=QUOTA))
    await ProfileController(client, NAMING).reconcile("dying-quiet")
    async with Dying(cluster, writes=0) as dying:
        await ProfileController(dying, NAMING).reconcile("dying-quiet")


async def test_kill_minus_nine_while_it_works(cluster: Cluster, client: Client, tmp_path: Path) -> None:
    """Profiles pour in while the process is killed again and again; the last one finishes them all."""
    names = [f"kill{number}" for number in range(12)]
    for part in range(3):
        with cluster.program("profiles", tmp_path / "log"):
            for profile_name in names[part * 4 : part * 4 + 4]:
                await client.create(PROFILES, body(profile_name, resourceQuotaSpec=QUOTA))
            # Killed as soon as the first of this part has its finalizer: the work is then under way.
            await until(
                client, PROFILES, names[part * 4], holds=lambda found: bool(metadata(found or {}).get("finalizers"))
            )
    with cluster.program("profiles", tmp_path / "log"):
        for profile_name in names:
            await assert_as_desired(client, await ready(client, profile_name))
        assert not any(deleting(profile) for profile in (await client.list(PROFILES)).items)
