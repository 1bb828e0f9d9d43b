"""Deployments on a real API server."""

from __future__ import annotations

from kubesim.controllers.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from kubesim.controllers.meta import condition
from tests.kubesim.controllers.world import World, deployment


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

    def rolled(d: dict) -> bool:  # type: ignore[type-arg]
        status = d["status"]
        seen.append((status.get("replicas", 0), status.get("availableReplicas", 0)))
        return bool(
            status["observedGeneration"] == 2
            and status.get("replicas") == 2 == status.get("updatedReplicas") == status.get("availableReplicas")
        )

    await world.until(DEPLOYMENTS, rolled)
    await world.settled()
    assert all(total <= 3 and available >= 2 for total, available in seen)
    sets = sorted(
        (s["metadata"]["annotations"]["deployment.kubernetes.io/revision"], s["spec"]["replicas"])
        for s in await world.items(REPLICA_SETS)
    )
    assert sets == [("1", 0), ("2", 2)]
