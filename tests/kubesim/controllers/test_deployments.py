"""Deployments on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kubesim.controllers.kinds import DEPLOYMENTS, PODS, QUOTAS, REPLICA_SETS
from kubesim.controllers.meta import condition
from kubesim.resources import Object
from tests.kubesim.controllers.world import World, deployment, running


async def test_a_deployment_becomes_ready(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    done = await world.until(
        DEPLOYMENTS,
        lambda d: (d.get("status") or {}).get("readyReplicas") == 2 and not d["status"].get("unavailableReplicas"),
    )
    await world.settled()
    done = await world.client.get(DEPLOYMENTS, "web", "default")
    assert {k: v for k, v in done["status"].items() if k != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "terminatingReplicas": 0,
    }
    found = [(c["type"], c["status"], c["reason"]) for c in done["status"]["conditions"]]
    assert found == [
        ("Available", "True", "MinimumReplicasAvailable"),
        ("Progressing", "True", "NewReplicaSetAvailable"),
    ]
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert {
        ("Deployment", "ScalingReplicaSet"),
        ("ReplicaSet", "SuccessfulCreate"),
        ("Pod", "Scheduled"),
    } <= await world.reasons()


async def test_nothing_is_written_once_all_is_well(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    await world.until(
        DEPLOYMENTS, lambda d: (condition(d, "Progressing") or {}).get("reason") == "NewReplicaSetAvailable"
    )
    await world.settled()
    world.calls.clear()
    await world.client.patch(DEPLOYMENTS, "web", {"metadata": {"labels": {"x": "y"}}}, "default")
    for pod in await world.items(PODS):
        await world.client.patch(PODS, pod["metadata"]["name"], {"metadata": {"annotations": {"a": "b"}}}, "default")
    await world.settled()
    assert world.calls == []


async def test_a_new_template_rolls_out_within_its_limits(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    await world.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2)
    await world.client.patch(
        DEPLOYMENTS,
        "web",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "lab/busybox:2"}],
        "default",
        kind="json",
    )
    seen: list[tuple[int, int]] = []

    def rolled(d: Object) -> bool:
        now = d["status"]
        seen.append((now.get("replicas", 0), now.get("availableReplicas", 0)))
        return bool(
            now["observedGeneration"] == 2
            and now.get("replicas") == 2 == now.get("updatedReplicas") == now.get("availableReplicas")
        )

    await world.until(DEPLOYMENTS, rolled)
    await world.settled()
    assert all(total <= 3 and available >= 2 for total, available in seen)
    sets = sorted(
        (s["metadata"]["annotations"]["deployment.kubernetes.io/revision"], s["spec"]["replicas"])
        for s in await world.items(REPLICA_SETS)
    )
    assert sets == [("1", 0), ("2", 2)]


def status(d: Object) -> Object:
    return d.get("status") or {}


def available(count: int) -> Callable[[Object], bool]:
    return lambda d: bool(
        status(d).get("availableReplicas") == count
        and status(d).get("observedGeneration") == d["metadata"]["generation"]
    )


def finished(d: Object) -> bool:
    done = (condition(d, "Progressing") or {}).get("reason") == "NewReplicaSetAvailable"
    return (
        done
        and bool(status(d).get("observedGeneration") == d["metadata"]["generation"])
        and not status(d).get("unavailableReplicas")
    )


async def set_image(world: World, image: str) -> None:
    change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    await world.client.patch(DEPLOYMENTS, "web", change, "default", kind="json")


async def revisions(world: World) -> dict[str, tuple[str, int]]:
    """Image by revision."""
    found = await world.items(REPLICA_SETS)
    return {
        s["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: (
            s["spec"]["template"]["spec"]["containers"][0]["image"],
            s["spec"]["replicas"],
        )
        for s in found
    }


async def test_max_unavailable_zero_never_drops_below_what_is_wanted(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.client.create(DEPLOYMENTS, deployment(replicas=3, strategy=rolling))
    await world.until(DEPLOYMENTS, finished)
    await set_image(world, "lab/busybox:2")
    lowest, highest = [3], [3]

    def rolled(d: Object) -> bool:
        lowest.append(status(d).get("availableReplicas", 0))
        highest.append(status(d).get("replicas", 0))
        return finished(d) and status(d).get("updatedReplicas") == 3 == status(d).get("replicas")

    await world.until(DEPLOYMENTS, rolled)
    assert min(lowest) == 3
    assert max(highest) == 4


async def test_undo_makes_the_old_set_the_newest_revision(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    await world.until(DEPLOYMENTS, finished)
    await set_image(world, "lab/busybox:2")
    await world.until(
        DEPLOYMENTS, lambda d: finished(d) and status(d).get("updatedReplicas") == 2 == status(d).get("replicas")
    )
    await set_image(world, "lab/busybox:1")  # what kubectl rollout undo comes down to
    await world.until(
        DEPLOYMENTS, lambda d: d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3" and finished(d)
    )
    await world.settled()
    assert await revisions(world) == {"2": ("lab/busybox:2", 0), "3": ("lab/busybox:1", 2)}
    old = next(s for s in await world.items(REPLICA_SETS) if s["spec"]["replicas"] == 2)
    assert old["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_recreate_has_no_two_versions_at_once(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment(strategy={"type": "Recreate"}))
    await world.until(DEPLOYMENTS, finished)
    await set_image(world, "lab/busybox:2")
    images: list[set[str]] = []

    def rolled(d: Object) -> bool:
        pods = world.cluster.server.store.list("pods", "default")
        images.append({p.object["spec"]["containers"][0]["image"] for p in pods})
        return finished(d) and status(d).get("updatedReplicas") == 2

    await world.until(DEPLOYMENTS, rolled)
    assert {"lab/busybox:1", "lab/busybox:2"} not in images


async def test_a_paused_deployment_waits_and_goes_on(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment())
    await world.until(DEPLOYMENTS, finished)
    await world.client.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}}, "default")
    await world.until(DEPLOYMENTS, lambda d: (condition(d, "Progressing") or {}).get("reason") == "DeploymentPaused")
    await set_image(world, "lab/busybox:2")
    await world.client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 3}}, "default")
    await world.until(DEPLOYMENTS, available(3))
    await world.settled()
    assert await revisions(world) == {"1": ("lab/busybox:1", 3)}
    await world.client.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, "default")
    await world.until(DEPLOYMENTS, lambda d: finished(d) and status(d).get("updatedReplicas") == 3)
    await world.settled()
    assert await revisions(world) == {"1": ("lab/busybox:1", 0), "2": ("lab/busybox:2", 3)}


async def test_a_rollout_that_does_not_get_ready_misses_its_deadline(still: World) -> None:
    await still.client.create(DEPLOYMENTS, deployment(annotations={"test/ready": "false"}, progressDeadlineSeconds=60))
    await still.until(DEPLOYMENTS, lambda d: status(d).get("updatedReplicas") == 2)
    await still.settled()
    await still.advance(70)
    late = await still.until(DEPLOYMENTS, lambda d: (condition(d, "Progressing") or {}).get("status") == "False")
    progressing = condition(late, "Progressing")
    assert progressing is not None
    assert progressing["reason"] == "ProgressDeadlineExceeded"
    assert progressing["message"].endswith('" has timed out progressing.')
    assert (condition(late, "Available") or {})["reason"] == "MinimumReplicasUnavailable"


async def test_min_ready_seconds_delay_availability(still: World) -> None:
    await still.client.create(DEPLOYMENTS, deployment(minReadySeconds=30))
    await still.until(DEPLOYMENTS, lambda d: status(d).get("readyReplicas") == 2)
    await still.settled()
    assert not status(await still.client.get(DEPLOYMENTS, "web", "default")).get("availableReplicas")
    await still.advance(31)
    await still.until(DEPLOYMENTS, available(2))


async def test_old_sets_beyond_the_history_limit_go(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment(revisionHistoryLimit=1))
    await world.until(DEPLOYMENTS, finished)
    for number in (2, 3, 4):
        await set_image(world, f"lab/busybox:{number}")
        await world.until(
            DEPLOYMENTS, lambda d: finished(d) and status(d).get("updatedReplicas") == 2 == status(d).get("replicas")
        )
        await world.settled()
    assert set(await revisions(world)) == {"3", "4"}


async def test_a_refused_pod_shows_in_conditions_and_events(world: World) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"cpu": "1"}}}
    await world.client.create(QUOTAS, quota)
    await world.client.create(DEPLOYMENTS, deployment())
    failed = await world.until(DEPLOYMENTS, lambda d: condition(d, "ReplicaFailure"))
    assert [(c["type"], c["status"], c["reason"]) for c in failed["status"]["conditions"]] == [
        ("Progressing", "True", "NewReplicaSetCreated"),
        ("Available", "False", "MinimumReplicasUnavailable"),
        ("ReplicaFailure", "True", "FailedCreate"),
    ]
    assert "failed quota: q: must specify cpu for: main" in failed["status"]["conditions"][2]["message"]
    await world.settled()
    assert ("ReplicaSet", "FailedCreate") in await world.reasons()
    await world.client.delete(QUOTAS, "q", "default")
    await world.until(DEPLOYMENTS, finished, seconds=20)
    assert condition(await world.client.get(DEPLOYMENTS, "web", "default"), "ReplicaFailure") is None


async def test_controllers_that_crash_and_come_back_finish_what_was_begun(world: World) -> None:
    """Stopped after every few writes of a rollout, they make no duplicates."""
    await world.client.create(DEPLOYMENTS, deployment(replicas=4))
    for _ in range(12):
        goal = world.cluster.server.store.revision + 4
        for _ in range(200):
            if world.cluster.server.store.revision >= goal:
                break
            await asyncio.sleep(0)
        await world.stop()
        world.start()
    await world.until(DEPLOYMENTS, finished)
    await world.settled()
    assert len(running(await world.items(PODS))) == 4
    assert await revisions(world) == {"1": ("lab/busybox:1", 4)}
