"""ReplicaSets: which pods go first, which are adopted, and how refusals are met."""

from __future__ import annotations

from typing import Any

from kubesim.controllers.kinds import PODS, QUOTAS, REPLICA_SETS, REPLICATION_CONTROLLERS
from kubesim.controllers.meta import controller_of
from kubesim.controllers.replicaset import DELETION_COST, surplus
from kubesim.resources import Object
from tests.kubesim.controllers.world import World, running


def replica_set(replicas: int = 2) -> Object:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "i"}]},
    }
    metadata = {"name": "web", "namespace": "default"}
    return {
        "metadata": metadata,
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def pod(
    name: str,
    *,
    node: str = "n",
    phase: str = "Running",
    ready: bool = True,
    age: int = 0,
    cost: str = "",
    restarts: int = 0,
) -> Object:
    created = f"2026-01-01T00:{59 - age:02d}:00Z"
    notes = {DELETION_COST: cost} if cost else {}
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": created}]
    status = {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]}
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": notes},
        "spec": {"nodeName": node},
        "status": status,
    }


def order(*pods: Object) -> list[str]:
    return [p["metadata"]["name"] for p in surplus(pods, len(pods))]


def test_pods_that_are_worth_least_go_first() -> None:
    assert order(pod("bound"), pod("unbound", node="")) == ["unbound", "bound"]
    assert order(pod("runs"), pod("pending", phase="Pending")) == ["pending", "runs"]
    assert order(pod("ready"), pod("not", ready=False)) == ["not", "ready"]
    assert order(pod("dear", cost="10"), pod("cheap", cost="-1"), pod("free")) == ["cheap", "free", "dear"]
    assert order(pod("alone", node="a"), pod("two", node="b"), pod("three", node="b"))[-1] == "alone"
    assert order(pod("steady"), pod("restarts", restarts=3)) == ["restarts", "steady"]
    assert order(pod("old", age=30), pod("young")) == ["young", "old"]


async def test_a_matching_orphan_is_adopted_and_a_stray_released(world: World) -> None:
    orphan: dict[str, Any] = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}}
    orphan["spec"] = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "i"}]}
    await world.client.create(PODS, orphan)
    await world.client.create(REPLICA_SETS, replica_set())
    await world.until(REPLICA_SETS, lambda r: (r.get("status") or {}).get("readyReplicas") == 2)
    pods = await world.items(PODS)
    assert len(pods) == 2
    assert all((controller_of(p) or {})["name"] == "web" for p in pods)
    await world.client.patch(PODS, "orphan", {"metadata": {"labels": {"app": "other"}}}, "default")
    free = await world.until(PODS, lambda p: controller_of(p) is None, name="orphan")
    assert "ownerReferences" not in free["metadata"] or free["metadata"]["ownerReferences"] == []
    await world.until(REPLICA_SETS, lambda r: r["status"].get("readyReplicas") == 2)
    await world.settled()
    assert len(running(await world.items(PODS))) == 3


async def test_a_refused_template_costs_one_request_not_all(world: World) -> None:
    await world.client.create(
        QUOTAS, {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"cpu": "1"}}}
    )
    world.calls.clear()
    await world.client.create(REPLICA_SETS, replica_set(100))
    await world.until(REPLICA_SETS, lambda r: (r.get("status") or {}).get("conditions"))
    attempts = [c for c in world.calls if c[:2] == ("create", PODS)]
    assert 1 <= len(attempts) <= 4


async def test_a_deleted_pod_is_replaced_at_once(world: World) -> None:
    await world.client.create(REPLICA_SETS, replica_set())
    await world.until(REPLICA_SETS, lambda r: (r.get("status") or {}).get("readyReplicas") == 2)
    first = (await world.items(PODS))[0]["metadata"]["name"]
    await world.client.delete(PODS, first, "default")
    await world.gone(PODS, first)
    await world.until(
        REPLICA_SETS, lambda r: r["status"].get("readyReplicas") == 2 and not r["status"].get("terminatingReplicas")
    )
    await world.settled()
    assert len(running(await world.items(PODS))) == 2


async def test_a_replication_controller_keeps_its_pods(world: World) -> None:
    body = replica_set()
    body["spec"]["selector"] = {"app": "web"}
    await world.client.create(REPLICATION_CONTROLLERS, body)
    ready = await world.until(REPLICATION_CONTROLLERS, lambda r: (r.get("status") or {}).get("readyReplicas") == 2)
    assert ready["status"].keys() == {
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    }
    assert {(controller_of(p) or {})["kind"] for p in await world.items(PODS)} == {"ReplicationController"}
    assert ("ReplicationController", "SuccessfulCreate") in await world.reasons()
    await world.client.patch(REPLICATION_CONTROLLERS, "web", {"spec": {"replicas": 1}}, "default")
    await world.until(REPLICATION_CONTROLLERS, lambda r: r["status"]["replicas"] == 1)
    await world.settled()
    assert len(running(await world.items(PODS))) == 1
