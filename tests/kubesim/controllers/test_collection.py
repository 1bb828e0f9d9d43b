"""Garbage collection and namespace deletion."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from kubesim.controllers.kinds import (
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
)
from kubesim.controllers.meta import condition
from kubesim.errors import Forbidden
from kubesim.resources import Object
from tests.kubesim.controllers.world import World, deployment


def config_map(name: str, *owners: Object, namespace: str = "default", **metadata: Any) -> Object:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": o["metadata"]["name"],
            "uid": o["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for o in owners
    ]
    found: Object = {"name": name, "namespace": namespace} | metadata
    return {"metadata": found | ({"ownerReferences": references} if references else {}), "data": {}}


async def ready(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    await world.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2)
    await world.settled()


async def test_dependents_follow_their_owner(world: World) -> None:
    owner = await world.client.create(CONFIG_MAPS, config_map("owner"))
    child = await world.client.create(CONFIG_MAPS, config_map("child", owner))
    await world.client.create(CONFIG_MAPS, config_map("grandchild", child))
    await world.settled()
    await world.client.delete(CONFIG_MAPS, "owner", "default")
    await world.gone(CONFIG_MAPS, "grandchild")
    await world.settled()
    assert {o["metadata"]["name"] for o in await world.items(CONFIG_MAPS)} == {"kube-root-ca.crt"}


async def test_one_owner_left_is_enough(world: World) -> None:
    one = await world.client.create(CONFIG_MAPS, config_map("one"))
    two = await world.client.create(CONFIG_MAPS, config_map("two"))
    await world.client.create(CONFIG_MAPS, config_map("child", one, two))
    await world.settled()
    await world.client.delete(CONFIG_MAPS, "one", "default")
    child = await world.until(CONFIG_MAPS, lambda c: len(c["metadata"].get("ownerReferences", ())) == 1, name="child")
    assert child["metadata"]["ownerReferences"][0]["name"] == "two"


async def test_a_child_of_an_owner_that_never_was_goes(world: World) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    await world.client.create(CONFIG_MAPS, config_map("child", ghost))
    await world.gone(CONFIG_MAPS, "child")


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_a_deployment_takes_its_pods_along(
    world: World, propagation: Literal["Background", "Foreground"]
) -> None:
    await ready(world)
    answer = await world.client.delete(DEPLOYMENTS, "web", "default", propagation=propagation)
    if propagation == "Foreground":
        assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    await world.gone(DEPLOYMENTS, "web")
    if propagation == "Foreground":
        assert await world.items(REPLICA_SETS) == []
    for pod in await world.items(PODS):
        await world.gone(PODS, pod["metadata"]["name"])
    await world.settled()
    assert await world.items(REPLICA_SETS) == []
    assert await world.items(PODS) == []


async def test_orphans_stay_without_their_reference(world: World) -> None:
    await ready(world)
    await world.client.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
    await world.gone(DEPLOYMENTS, "web")
    await world.settled()
    (left,) = await world.items(REPLICA_SETS)
    assert not left["metadata"].get("ownerReferences")
    assert len(await world.items(PODS)) == 2


async def test_a_namespace_goes_with_all_that_is_in_it(world: World) -> None:
    await world.client.create(NAMESPACES, {"metadata": {"name": "tenant"}})
    await world.until(SERVICE_ACCOUNTS, lambda s: s["metadata"]["name"] == "default", "tenant")
    await world.until(CONFIG_MAPS, lambda c: c["metadata"]["name"] == "kube-root-ca.crt", "tenant")
    body = deployment()
    body["metadata"]["namespace"] = "tenant"
    await world.client.create(DEPLOYMENTS, body)
    await world.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2, "tenant")
    await world.client.delete(NAMESPACES, "tenant")
    with pytest.raises(Forbidden, match="because it is being terminated"):
        await world.client.create(CONFIG_MAPS, config_map("late", namespace="tenant"), "tenant")
    await world.gone(NAMESPACES, "tenant", "")
    for kind in (PODS, REPLICA_SETS, DEPLOYMENTS, CONFIG_MAPS, SERVICE_ACCOUNTS):
        assert await world.items(kind, "tenant") == []


async def test_a_namespace_says_what_holds_it(world: World) -> None:
    await world.client.create(NAMESPACES, {"metadata": {"name": "tenant"}})
    await world.client.create(
        CONFIG_MAPS, config_map("held", namespace="tenant", finalizers=["lab.example/hold"]), "tenant"
    )
    await world.client.delete(NAMESPACES, "tenant")
    stuck = await world.until(NAMESPACES, lambda n: condition(n, "NamespaceFinalizersRemaining"), "", "tenant")
    messages = {c["type"]: (c["status"], c["message"]) for c in stuck["status"]["conditions"]}
    assert messages["NamespaceContentRemaining"] == (
        "True",
        "Some resources are remaining: configmaps. has 1 resource instances",
    )
    held = "Some content in the namespace has finalizers remaining: lab.example/hold in 1 resource instances"
    assert messages["NamespaceFinalizersRemaining"] == ("True", held)
    await world.client.patch(CONFIG_MAPS, "held", {"metadata": {"finalizers": None}}, "tenant")
    await world.gone(NAMESPACES, "tenant", "")


async def test_the_default_account_and_the_root_certificate_come_back(world: World) -> None:
    await world.until(SERVICE_ACCOUNTS, lambda s: s["metadata"]["name"] == "default")
    old = await world.client.get(SERVICE_ACCOUNTS, "default", "default")
    await world.client.delete(SERVICE_ACCOUNTS, "default", "default")
    await world.until(SERVICE_ACCOUNTS, lambda s: s["metadata"]["uid"] != old["metadata"]["uid"], name="default")
    await world.until(CONFIG_MAPS, lambda c: True, name="kube-root-ca.crt")
    await world.client.patch(CONFIG_MAPS, "kube-root-ca.crt", {"data": {"ca.crt": "forged"}}, "default")
    pem = world.cluster.authority.pem.decode()
    await world.until(CONFIG_MAPS, lambda c: c["data"] == {"ca.crt": pem}, name="kube-root-ca.crt")


async def test_an_owner_that_cannot_be_looked_up_is_believed(world: World) -> None:
    """A cluster-scoped object with a namespaced owner, and an owner of a kind nobody serves."""
    strange = {"apiVersion": "lab.example/v1", "kind": "Ghost", "name": "g", "uid": "1"}
    local = {"apiVersion": "v1", "kind": "ConfigMap", "name": "g", "uid": "2"}
    body = config_map("child")
    body["metadata"]["ownerReferences"] = [strange]
    await world.client.create(CONFIG_MAPS, body)
    await world.client.create(CLUSTER_ROLES, {"metadata": {"name": "wide", "ownerReferences": [local]}, "rules": []})
    await world.settled()
    assert await world.client.get(CONFIG_MAPS, "child", "default")
    assert await world.client.get(CLUSTER_ROLES, "wide")
