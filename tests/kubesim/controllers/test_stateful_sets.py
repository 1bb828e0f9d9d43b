"""StatefulSets on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.controllers.kinds import CLAIMS, PODS, REVISIONS, STATEFUL_SETS
from kubesim.resources import Object
from tests.kubesim.controllers.world import World


def stateful_set(replicas: int = 3, *, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    template = {
        "metadata": {"labels": {"app": "db"}, "annotations": annotations or {}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "lab/busybox:1"}]},
    }
    body = {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    return {"metadata": {"name": "db", "namespace": "default"}, "spec": body | spec}


def ready(count: int) -> Callable[[Object], bool]:
    def check(s: Object) -> bool:
        status = s.get("status") or {}
        return bool(
            status.get("readyReplicas", 0) == count == status.get("replicas")
            and status["observedGeneration"] == s["metadata"]["generation"]
        )

    return check


def updated(s: Object) -> bool:
    status = s.get("status") or {}
    return ready(s["spec"]["replicas"])(s) and bool(status["currentRevision"] == status["updateRevision"])


async def set_image(world: World, image: str) -> None:
    change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    await world.client.patch(STATEFUL_SETS, "db", change, "default", kind="json")


async def images(world: World) -> dict[str, str]:
    return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in await world.items(PODS)}


async def test_pods_have_names_and_identities_and_come_in_order(world: World) -> None:
    await world.client.create(STATEFUL_SETS, stateful_set())
    done = await world.until(STATEFUL_SETS, ready(3))
    assert world.kubelet.started == ["db-0", "db-1", "db-2"]
    revision = done["status"]["updateRevision"]
    assert {k: v for k, v in done["status"].items() if "Revision" not in k} == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "collisionCount": 0,
        "availableReplicas": 3,
    }
    pod = await world.client.get(PODS, "db-1", "default")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    assert pod["metadata"]["labels"] == {
        "app": "db",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "db-1",
    }


async def test_an_unready_pod_holds_up_the_next_unless_parallel(world: World) -> None:
    await world.client.create(STATEFUL_SETS, stateful_set(annotations={"test/ready": "false"}))
    await world.until(PODS, lambda p: p["status"].get("phase") == "Running", name="db-0")
    await world.settled()
    assert world.kubelet.started == ["db-0"]
    await world.client.delete(STATEFUL_SETS, "db", "default", propagation="Background")
    await world.gone(PODS, "db-0")
    world.kubelet.started.clear()
    body = stateful_set(annotations={"test/ready": "false"}, podManagementPolicy="Parallel")
    await world.client.create(STATEFUL_SETS, body)
    await world.until(STATEFUL_SETS, lambda s: (s.get("status") or {}).get("replicas") == 3)
    await world.settled()
    assert sorted(world.kubelet.started) == ["db-0", "db-1", "db-2"]


async def test_scaling_down_goes_from_the_top_and_keeps_claims(world: World) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    await world.client.create(STATEFUL_SETS, stateful_set(volumeClaimTemplates=[claim]))
    await world.until(STATEFUL_SETS, ready(3))
    pod = await world.client.get(PODS, "db-2", "default")
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}} in pod["spec"]["volumes"]
    await world.client.patch(STATEFUL_SETS, "db", {"spec": {"replicas": 1}}, "default")
    await world.until(STATEFUL_SETS, ready(1))
    assert list(await images(world)) == ["db-0"]
    claims = {c["metadata"]["name"]: c["status"]["phase"] for c in await world.items(CLAIMS)}
    assert claims == {"data-db-0": "Bound", "data-db-1": "Bound", "data-db-2": "Bound"}


async def test_an_update_goes_from_the_top_one_by_one(world: World) -> None:
    await world.client.create(STATEFUL_SETS, stateful_set())
    await world.until(STATEFUL_SETS, updated)
    world.kubelet.started.clear()
    await set_image(world, "lab/busybox:2")
    lowest = 3

    def done(s: Object) -> bool:
        nonlocal lowest
        lowest = min(lowest, s["status"].get("readyReplicas", 0))
        return updated(s)

    await world.until(STATEFUL_SETS, done)
    assert world.kubelet.started == ["db-2", "db-1", "db-0"]
    assert lowest == 2
    assert set((await images(world)).values()) == {"lab/busybox:2"}
    found = sorted(
        (r["revision"], r["data"]["spec"]["template"]["spec"]["containers"][0]["image"])
        for r in await world.items(REVISIONS)
    )
    assert found == [(1, "lab/busybox:1"), (2, "lab/busybox:2")]


async def test_pods_below_the_partition_keep_the_old_revision(world: World) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.client.create(STATEFUL_SETS, stateful_set(updateStrategy=strategy))
    await world.until(STATEFUL_SETS, ready(3))
    await set_image(world, "lab/busybox:2")
    await world.until(STATEFUL_SETS, lambda s: ready(3)(s) and s["status"].get("updatedReplicas") == 1)
    await world.client.delete(PODS, "db-0", "default")
    await world.gone(PODS, "db-0")
    await world.until(STATEFUL_SETS, lambda s: ready(3)(s) and s["status"].get("currentReplicas") == 2)
    await world.settled()
    assert await images(world) == {"db-0": "lab/busybox:1", "db-1": "lab/busybox:1", "db-2": "lab/busybox:2"}


async def test_a_failed_pod_is_made_again(world: World) -> None:
    await world.client.create(STATEFUL_SETS, stateful_set(1))
    await world.until(STATEFUL_SETS, ready(1))
    old = await world.client.get(PODS, "db-0", "default")
    await world.kubelet.finish(old, 1)
    new = await world.until(PODS, lambda p: p["metadata"]["uid"] != old["metadata"]["uid"], name="db-0")
    assert new["spec"]["hostname"] == "db-0"
    await world.until(STATEFUL_SETS, ready(1))


async def test_claims_go_with_the_set_when_it_says_so(world: World) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    body = stateful_set(2, volumeClaimTemplates=[claim], persistentVolumeClaimRetentionPolicy=policy)
    await world.client.create(STATEFUL_SETS, body)
    await world.until(STATEFUL_SETS, ready(2))
    await world.client.patch(STATEFUL_SETS, "db", {"spec": {"replicas": 1}}, "default")
    await world.gone(CLAIMS, "data-db-1")
    assert [c["metadata"]["name"] for c in await world.items(CLAIMS)] == ["data-db-0"]
    await world.client.delete(STATEFUL_SETS, "db", "default", propagation="Background")
    await world.gone(CLAIMS, "data-db-0")
