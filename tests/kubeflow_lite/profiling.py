"""Profiles on a cluster: making them, waiting for them, comparing what is there with what they stand for."""

from __future__ import annotations

from typing import Any

from kubeflow_lite.apply import RESOURCES
from kubeflow_lite.changes import change
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, name, namespace
from kubeflow_lite.profiles.controller import PROFILES
from kubeflow_lite.profiles.desired import desired
from tests.kubeflow_lite.conftest import until


def body(profile_name: str, owner: str = "", **spec: Any) -> Object:
    who = owner or f"{profile_name.removeprefix('profile-')}@mlops.local"
    meta = {"name": profile_name}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": meta,
        "spec": {"owner": {"kind": "User", "name": who}, **spec},
    }


def condition(profile: Object | None, kind: str) -> Object:
    conditions = ((profile or {}).get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def is_ready(profile: Object | None) -> bool:
    return condition(profile, "Ready").get("status") == "True"


async def ready(client: Client, profile_name: str) -> Object:
    profile = await until(client, PROFILES, profile_name, holds=is_ready)
    assert profile is not None
    return profile


async def assert_as_desired(client: Client, profile: Object) -> None:
    for part in desired(profile, profile["status"]["namespace"]):
        found = await client.find(RESOURCES[part["kind"]], name(part), namespace(part))
        assert found is not None, f"{part['kind']} {name(part)} is missing"
        assert change(found, part) is None, found
