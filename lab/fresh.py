"""Is the lab already up? Answered in a fraction of a second.

A fingerprint of everything `up` reads (settings, manifests, sources of the images) is kept when `up` ends; the lab is up where it is unchanged, both
APIs answer, every Deployment and StatefulSet has its replicas, and each tenant has what `up` gives them: what somebody took away, `up` brings
back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from lab.aws import resources
from lab.errors import ClusterError, LabError
from lab.host.files import write_private
from lab.kube import Cluster, Object, ready
from lab.settings import ROOT, Tenant
from lab.tenancy import tenants
from lab.world import World

_SOURCES = ("k8s", "images", "serving", "training", "kubeflow_lite", "kubesim", "awssim", "lab")
_MAY_WAIT = {("mlops-serving", "iris-serving")}  # ready only once there is a model


def is_up(world: World, people: Sequence[Tenant]) -> bool:
    record = _record(world)
    started = set(record.get("tenants", []))
    if record.get("fingerprint") != fingerprint(world) or not {tenant.num for tenant in people} <= started:
        return False
    if not (world.aws.running() and world.provider.running()):
        return False
    cluster = Cluster(world.kubeconfig)  # not the world's: that one is made anew where `up` goes on
    return _settled(cluster) and _provided(world, cluster, people)


def remember(world: World, people: Sequence[Tenant]) -> None:
    started = {*_record(world).get("tenants", []), *(tenant.num for tenant in people)}
    record = {
        "fingerprint": fingerprint(world),
        "tenants": sorted(started),
        "cluster": world.provider.name,
        "aws": world.aws.name,
    }
    write_private(_path(world), json.dumps(record))


def forget(world: World, numbers: Set[str]) -> None:
    """These tenants are no longer up."""
    record = _record(world)
    if record:
        record["tenants"] = [number for number in record.get("tenants", []) if number not in numbers]
        write_private(_path(world), json.dumps(record))


def started(world: World) -> list[str]:
    """Numbers of the tenants that `up` has brought up."""
    return list(_record(world).get("tenants", []))


def _path(world: World) -> Path:
    return world.settings.state / "up.json"


def _record(world: World) -> dict[str, Any]:
    try:
        found = json.loads(_path(world).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def fingerprint(world: World) -> str:
    # Where the folder is makes no other lab of it; the record lies in it.
    digest = hashlib.sha256(world.settings.model_dump_json(exclude={"state"}).encode())
    digest.update(f"{world.provider.name} {world.aws.name}".encode())
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".pyc",):
                state = path.stat()
                digest.update(f"{path.relative_to(ROOT)} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def may_wait(item: Object) -> bool:
    """Whether the lab counts as up without this workload."""
    return (item["metadata"]["namespace"], item["metadata"]["name"]) in _MAY_WAIT


def _provided(world: World, cluster: Cluster, people: Sequence[Tenant]) -> bool:
    """What has no replicas to be counted: PodDefaults, and what a tenant has on AWS."""
    try:
        found = cluster.list("kubeflow.org/v1alpha1", "PodDefault")
        defaults = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found}
        names = [item["metadata"]["name"] for item in tenants.pod_defaults(world.settings, people[0])] if people else []
        wanted = {(tenant.namespace, name) for tenant in people for name in names}
        there = resources.inventory(world.root, world.settings)
        return wanted <= defaults and all(
            resources.is_provided(world.root, world.settings, tenant, there=there) for tenant in people
        )
    except LabError:
        return False


def _settled(cluster: Cluster) -> bool:
    """Every Deployment and StatefulSet that must be ready has its replicas."""
    try:
        found = [item for kind in ("Deployment", "StatefulSet") for item in cluster.list("apps/v1", kind)]
    except ClusterError:
        return False
    return not any(ready.missing(item) for item in found if not may_wait(item))
