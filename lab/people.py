"""`invoke tenants`: who is in the class, and adding or removing people without touching lab.yaml.

People added live in `.lab/tenants.yaml`, in the form of lab.yaml's `tenants`, and are read after it. Removing takes away what identifies a tenant and
what runs; the bucket and MLflow's database stay unless asked for, because they hold somebody's work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import yaml

from lab import fresh
from lab.aws import resources
from lab.errors import LabError
from lab.host import ports
from lab.messages import t
from lab.settings import Settings, Tenant, TenantGroup, added_path, read_added, user_numbers
from lab.tenancy import databases, tenants, users
from lab.world import World

QUOTAS = {"student": ("8", "16Gi"), "instructor": ("16", "32Gi")}  # CPU cores and memory, as the course gives them


def add(settings: Settings, text: str, role: str) -> tuple[str, ...]:
    """Write the new numbers down; returns them. Raises LabError for one that is known, or a role that is not."""
    if role not in QUOTAS:
        raise LabError(t("no role {role!r}", role=role), t("one of: {names}", names=", ".join(QUOTAS)))
    numbers = sorted(set(user_numbers(text)))
    known = {tenant.num for tenant in settings.people}
    if twice := sorted(known & set(numbers)):
        raise LabError(t("user{twice} is in the class already", twice=", user".join(twice)), t("./inv tenants list"))
    cpu, memory = QUOTAS[role]
    group = TenantGroup.model_validate({"role": role, "users": numbers, "cpu": cpu, "memory": memory})
    _write(settings, [*read_added(settings.state), group])
    return tuple(numbers)


def remove(world: World, people: Sequence[Tenant], *, bucket: bool, say: Callable[[str], None]) -> None:
    """Remove what `describe` says; people of lab.yaml come back with the next `up`."""
    for tenant in people:
        world.cluster.delete("kubeflow.org/v1", "Profile", tenant.profile, propagation="Foreground")
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            world.cluster.delete("rbac.authorization.k8s.io/v1", kind, f"mlops-tenant-{tenant.user}")
        resources.remove_tenant(world.root, tenant, bucket=bucket)
        ports.remove_tree(users.folder(world.settings, tenant))
        say(t("✓ {user} removed", user=tenant.user))
    if bucket:
        databases.drop(world.cluster, [tenants.database(tenant) for tenant in people])
    gone = {tenant.num for tenant in people}
    fresh.forget(world, gone)
    kept = [
        group.model_copy(update={"users": tuple(n for n in group.users if n not in gone)})
        for group in read_added(world.settings.state)
    ]
    _write(world.settings, [group for group in kept if group.users])


def describe(people: Sequence[Tenant], *, bucket: bool) -> list[str]:
    """What removing these people deletes, for them to read first."""
    lines = []
    for tenant in people:
        lines.append(
            t(
                "{user}: Profile {profile}, namespace {namespace} with everything in it, IAM user {user},",
                user=tenant.user,
                profile=tenant.profile,
                namespace=tenant.namespace,
            )
        )
        lines.append(
            t("        {repositories} ECR repositories with their images", repositories=len(tenant.repositories))
            + (f", {_work(tenant)}" if bucket else t("; kept: {work}", work=_work(tenant)))
        )
    return lines


def _work(tenant: Tenant) -> str:
    return t("s3://{bucket} and database {database}", bucket=tenant.bucket, database=tenants.database(tenant))


def _write(settings: Settings, groups: Sequence[TenantGroup]) -> None:
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    users.write_private(
        added_path(settings.state), yaml.safe_dump([group.model_dump(mode="json") for group in groups], sort_keys=False)
    )
