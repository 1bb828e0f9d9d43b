"""Controllers that start on a cluster where all is as it should be have nothing to write; fifty deployments at once are no flood."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kubesim.controllers.kinds import (
    BUDGETS,
    CLAIMS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    QUOTAS,
    SERVICES,
    STATEFUL_SETS,
)
from kubesim.controllers.meta import is_true
from kubesim.resources import Object
from tests.kubesim.controllers.world import World, deployment


def workload(name: str, **spec: Any) -> Object:
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "100m"}}}],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    body = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": body | spec}


async def fill(world: World) -> None:
    """A bit of everything, run until it is steady."""
    client = world.client
    await client.create(
        QUOTAS, {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"cpu": "4", "pods": "20"}}}
    )
    await client.create(
        SERVICES,
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        },
    )
    body = deployment()
    body["spec"]["template"]["spec"] = workload("x")["spec"]["template"]["spec"]
    await client.create(DEPLOYMENTS, body)
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    await client.create(STATEFUL_SETS, workload("db", replicas=2, serviceName="db", volumeClaimTemplates=[claim]))
    await client.create(DAEMON_SETS, workload("agent"))
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await client.create(BUDGETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    template = workload("job")["spec"]["template"] | {"metadata": {"annotations": {"test/exit": "0"}}}
    template["spec"] = template["spec"] | {"restartPolicy": "Never"}
    await client.create(JOBS, {"metadata": {"name": "job", "namespace": "default"}, "spec": {"template": template}})
    await client.create(
        CRON_JOBS,
        {
            "metadata": {"name": "yearly", "namespace": "default"},
            "spec": {"schedule": "@yearly", "jobTemplate": {"spec": {"template": template}}},
        },
    )
    await world.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2)
    await world.until(STATEFUL_SETS, lambda s: (s.get("status") or {}).get("availableReplicas") == 2)
    await world.until(DAEMON_SETS, lambda d: (d.get("status") or {}).get("numberAvailable") == 1)
    await world.until(JOBS, lambda j: is_true(j, "Complete"))
    await world.settled()


async def test_a_restart_writes_nothing(world: World) -> None:
    await fill(world)
    await world.stop()
    world.calls.clear()
    world.start()
    await world.settled(turns=2000)
    assert [call for call in world.calls if call[1] != "v1/events"] == []
    assert {c["metadata"]["name"]: c["status"]["phase"] for c in await world.items(CLAIMS)} == {
        "data-db-0": "Bound",
        "data-db-1": "Bound",
    }


async def test_fifty_deployments_cost_a_fixed_number_of_writes_each(world: World) -> None:
    count = 50
    await world.settled()
    world.calls.clear()
    for number in range(count):
        await world.client.create(DEPLOYMENTS, deployment(f"web{number}", replicas=1))
    for number in range(count):
        await world.until(
            DEPLOYMENTS,
            lambda d: (d.get("status") or {}).get("availableReplicas") == 1,
            name=f"web{number}",
            seconds=30,
        )
    await world.settled()
    writes = Counter(call[:2] for call in world.calls if call[1] != "v1/events")
    assert len([p for p in await world.items(PODS) if p["status"]["phase"] == "Running"]) == count
    # a ReplicaSet, a pod and its binding; status of both sets as counts come in
    assert writes["create", PODS] == 2 * count
    assert sum(writes.values()) <= 10 * count
