"""Nobody grants what they do not have."""

from __future__ import annotations

import pytest

from kubesim.auth.user import User
from kubesim.errors import Forbidden, NotFound
from kubesim.resources import Object
from tests.kubesim.admission.world import World
from tests.kubesim.auth.memory import rule_on, user_subject

ADMIN = User("admin@n", groups=("tenants", "system:authenticated"))


@pytest.fixture
def world() -> World:
    """ADMIN may write roles and bindings in `n`, and has pods."""
    world = World()
    world.memory.role("n", "pods", rule_on("pods pods/log", "get list"))
    world.memory.bind("n", "pods", "Role/pods", user_subject(ADMIN.name))
    group = "rbac.authorization.k8s.io"
    world.memory.cluster_role("writer", rule_on("roles rolebindings clusterroles", "create update", group=group))
    world.memory.bind("", "writer", "ClusterRole/writer", user_subject(ADMIN.name))
    return world


def role(name: str, *rules: Object) -> Object:
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(name: str, kind: str, referred: str) -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": referred}
    return {"metadata": {"name": name}, "roleRef": reference, "subjects": [user_subject("friend")]}


async def refused(world: World, plural: str, obj: Object) -> str:
    with pytest.raises(Forbidden) as caught:
        await world.create(plural, obj, user=ADMIN)
    return caught.value.message


async def test_what_one_has_may_be_given(world: World) -> None:
    await world.create("roles", role("less", rule_on("pods", "get")), user=ADMIN)
    await world.create("rolebindings", binding("share", "Role", "pods"), user=ADMIN)


async def test_what_one_has_not_is_listed(world: World) -> None:
    assert await refused(world, "roles", role("root", rule_on("pods secrets", "get list delete"))) == (
        'roles.rbac.authorization.k8s.io "root" is forbidden: user "admin@n" (groups=["tenants" "system:authenticated"]) '
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["delete" "get" "list"]}'
    )
    everything = rule_on("*", "*", group="*")
    assert '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' in await refused(world, "roles", role("root", everything))


async def test_a_binding_gives_the_rules_of_its_role(world: World) -> None:
    world.memory.cluster_role("cluster-admin", rule_on("*", "*", group="*"))
    assert "is attempting to grant RBAC permissions not currently held" in await refused(
        world, "rolebindings", binding("up", "ClusterRole", "cluster-admin")
    )
    with pytest.raises(NotFound, match=r'role\.rbac\.authorization\.k8s\.io "gone" not found'):
        await world.create("rolebindings", binding("up", "Role", "gone"), user=ADMIN)


async def test_what_one_has_in_a_namespace_is_not_had_in_the_cluster(world: World) -> None:
    assert "not currently held" in await refused(world, "clusterroles", role("wide", rule_on("pods", "get")))


async def test_names_narrow_what_is_had(world: World) -> None:
    world.memory.role("n", "one", rule_on("secrets", "get", names=["mine"]))
    world.memory.bind("n", "one", "Role/one", user_subject(ADMIN.name))
    await world.create("roles", role("same", rule_on("secrets", "get", names=["mine"])), user=ADMIN)
    assert 'ResourceNames:["yours"]' in await refused(
        world, "roles", role("other", rule_on("secrets", "get", names=["mine", "yours"]))
    )
    assert "not currently held" in await refused(world, "roles", role("all", rule_on("secrets", "get")))


async def test_escalate_and_bind_are_ways_out(world: World) -> None:
    allowed = [
        rule_on("roles", "escalate", group="rbac.authorization.k8s.io"),
        rule_on("clusterroles", "bind", group="rbac.authorization.k8s.io", names=["edit"]),
    ]
    world.memory.role("n", "way-out", *allowed)
    world.memory.bind("n", "way-out", "Role/way-out", user_subject(ADMIN.name))
    world.memory.cluster_role("edit", rule_on("*", "*"))
    world.memory.cluster_role("admin", rule_on("*", "*"))
    await world.create("roles", role("root", rule_on("*", "*", group="*")), user=ADMIN)
    await world.create("rolebindings", binding("edit", "ClusterRole", "edit"), user=ADMIN)
    assert "not currently held" in await refused(world, "rolebindings", binding("admin", "ClusterRole", "admin"))


async def test_an_aggregated_role_is_the_cluster_admins(world: World) -> None:
    aggregated = role("wide") | {"aggregationRule": {"clusterRoleSelectors": [{}]}}
    assert await refused(world, "clusterroles", aggregated) == (
        'clusterroles.rbac.authorization.k8s.io "wide" is forbidden: must have cluster-admin privileges to use an aggregationRule'
    )
    await world.create("clusterroles", aggregated)


async def test_an_update_is_judged_like_a_creation_but_not_the_garbage_collectors(world: World) -> None:
    made = await world.create("roles", role("big", rule_on("secrets", "*")))
    with pytest.raises(Forbidden, match="not currently held"):
        await world.update("roles", {**made, "metadata": made["metadata"] | {"labels": {"a": "b"}}}, user=ADMIN)
    owned = made["metadata"] | {"ownerReferences": [{"uid": "x"}], "finalizers": ["f"]}
    await world.update("roles", {**made, "metadata": owned}, user=ADMIN)
