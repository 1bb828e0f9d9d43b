"""ResourceQuota: messages, sums, scopes, and that nothing slips through between two writes."""

from __future__ import annotations

import asyncio

import pytest

from kubesim.admission import quota as arithmetic
from kubesim.errors import Forbidden
from kubesim.resources import Object
from tests.kubesim.admission.world import World, both, config_map, pod, quota


@pytest.fixture
def world() -> World:
    world = World()
    world.memory.put("v1/resourcequotas", quota("kf-resource-quota", {"cpu": "2", "memory": "2Gi", "pods": "3"}))
    return world


async def refused(world: World, plural: str, obj: Object) -> str:
    with pytest.raises(Forbidden) as caught:
        await world.create(plural, obj)
    assert caught.value.details == {"name": obj["metadata"]["name"], "kind": plural}
    return caught.value.message


async def test_a_pod_must_say_what_is_counted(world: World) -> None:
    assert await refused(world, "pods", pod("free")) == (
        'pods "free" is forbidden: failed quota: kf-resource-quota: must specify cpu for: main; memory for: main'
    )


async def test_more_than_is_left_is_refused_and_the_rest_named(world: World) -> None:
    await world.create("pods", pod("fits", **both("1500m", "64Mi")))
    assert await refused(world, "pods", pod("more", **both("1", "64Mi"))) == (
        'pods "more" is forbidden: exceeded quota: kf-resource-quota, requested: cpu=1, used: cpu=1500m, limited: cpu=2'
    )
    assert await refused(world, "pods", pod("more", **both("1", "3Gi"))) == (
        'pods "more" is forbidden: exceeded quota: kf-resource-quota, requested: cpu=1,memory=3Gi, '
        "used: cpu=1500m,memory=64Mi, limited: cpu=2,memory=2Gi"
    )
    await world.create("pods", pod("rest", **both("500m", "64Mi")))


async def test_what_is_gone_or_has_ended_is_given_back(world: World) -> None:
    made = await world.create("pods", pod("a", **both("2", "1Gi")))
    assert "exceeded quota" in await refused(world, "pods", pod("b", **both("1m", "1Mi")))
    world.memory.put("v1/pods", {**made, "metadata": dict(made["metadata"]), "status": {"phase": "Succeeded"}})
    await world.create("pods", pod("b", **both("2", "1Gi")))
    await world.delete("pods", "b")
    await world.create("pods", pod("c", **both("2", "1Gi")))


async def test_counts_of_any_kind(world: World) -> None:
    world.memory.put(
        "v1/resourcequotas", quota("counts", {"count/configmaps": "2", "services": "1", "count/deployments.apps": "0"})
    )
    await world.create("configmaps", config_map("a"))
    await world.create("configmaps", config_map("b"))
    assert await refused(world, "configmaps", config_map("c")) == (
        'configmaps "c" is forbidden: exceeded quota: counts, requested: count/configmaps=1, '
        "used: count/configmaps=2, limited: count/configmaps=2"
    )
    service: Object = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    await world.create("services", service)
    assert await refused(world, "services", service | {"metadata": {"name": "b"}}) == (
        'services "b" is forbidden: exceeded quota: counts, requested: services=1, used: services=1, limited: services=1'
    )
    with pytest.raises(Forbidden, match=r"deployments\.apps \"d\" is forbidden: exceeded quota: counts"):
        await world.create("deployments", {"metadata": {"name": "d"}})


async def test_a_claims_growth_is_charged_by_its_difference() -> None:
    world = World()
    world.memory.put(
        "v1/resourcequotas",
        quota("disk", {"requests.storage": "10Gi", "gold.storageclass.storage.k8s.io/requests.storage": "4Gi"}),
    )

    world.memory.put("storage.k8s.io/v1/storageclasses", {"metadata": {"name": "silver"}, "allowVolumeExpansion": True})

    def claim(name: str, size: str, **spec: str) -> Object:
        whole = {"resources": {"requests": {"storage": size}}, **spec}
        return {"metadata": {"name": name}, "spec": whole, "status": {"phase": "Bound"}}

    await world.create("persistentvolumeclaims", claim("a", "8Gi", storageClassName="silver"))
    assert (
        "requested: requests.storage=3Gi, used: requests.storage=8Gi, limited: requests.storage=10Gi"
        in await refused(world, "persistentvolumeclaims", claim("b", "3Gi", storageClassName="silver"))
    )
    with pytest.raises(Forbidden, match=r"requested: requests.storage=3Gi, used: requests.storage=8Gi"):
        await world.update("persistentvolumeclaims", claim("a", "11Gi", storageClassName="silver"))
    await world.update("persistentvolumeclaims", claim("a", "4Gi", storageClassName="silver"))
    assert "gold.storageclass.storage.k8s.io/requests.storage=5Gi" in await refused(
        world, "persistentvolumeclaims", claim("c", "5Gi", storageClassName="gold")
    )


async def test_a_service_that_becomes_a_node_port_is_charged_for_it() -> None:
    world = World()
    world.memory.put("v1/resourcequotas", quota("ports", {"services.nodeports": "1"}))

    def service(name: str, kind: str) -> Object:
        return {"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}]}}

    await world.create("services", service("a", "NodePort"))
    await world.create("services", service("b", "ClusterIP"))
    with pytest.raises(Forbidden, match=r"requested: services.nodeports=1, used: services.nodeports=1"):
        await world.update("services", service("b", "NodePort"))
    await world.update("services", service("a", "NodePort"))


async def test_scopes_choose_the_pods_that_count() -> None:
    world = World()
    world.memory.put("v1/resourcequotas", quota("effortless", {"pods": "1"}, scopes=["BestEffort"]))
    world.memory.put(
        "v1/resourcequotas",
        quota(
            "high",
            {"pods": "0"},
            scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]},
        ),
    )
    world.memory.put("scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "high"}, "value": 1000})
    await world.create("pods", pod("a"))
    assert "exceeded quota: effortless" in await refused(world, "pods", pod("b"))
    await world.create("pods", pod("c", **both("1", "1Gi")))
    urgent = pod("d", **both("1", "1Gi"))
    urgent["spec"]["priorityClassName"] = "high"
    assert "exceeded quota: high" in await refused(world, "pods", urgent)


async def test_two_writes_at_once_cannot_share_one_rest(world: World) -> None:
    async def try_one(number: int) -> bool:
        try:
            await world.create("pods", pod(f"p{number}", **both("1", "64Mi")))
        except Forbidden:
            return False
        return True

    assert sum(await asyncio.gather(*(try_one(number) for number in range(8)))) == 2


async def test_an_update_of_what_is_there_is_not_charged_again(world: World) -> None:
    made = await world.create("pods", pod("a", **both("2", "2Gi")))
    await world.update("pods", {**made, "metadata": made["metadata"] | {"labels": {"x": "y"}}})


def test_the_status_a_controller_writes() -> None:
    one = quota(
        "q", {"cpu": "2", "memory": "2Gi", "pods": "3", "limits.cpu": "4", "count/configmaps": "2", "services": "1"}
    )
    assert arithmetic.kinds(one) == {"pods", "configmaps", "services"}
    assert arithmetic.used(one, {}) == dict.fromkeys(one["spec"]["hard"], "0")
    pods = [
        pod("a", **both("1500m", "64Mi")),
        pod("b", **both("250m", "1Gi")),
        pod("c") | {"status": {"phase": "Failed"}},
    ]
    assert arithmetic.used(one, {"pods": pods, "configmaps": [config_map("x")]}) == {
        "cpu": "1750m",
        "memory": "1088Mi",
        "pods": "2",
        "limits.cpu": "1750m",
        "count/configmaps": "1",
        "services": "0",
    }


def test_init_containers_count_at_their_peak_and_sidecars_all_along() -> None:
    def box(cpu: str, **more: str) -> Object:
        return {"name": "x", "resources": {"requests": {"cpu": cpu}}, **more}

    one = quota("q", {"requests.cpu": "9"})
    spec: Object = {
        "containers": [box("1"), box("500m")],
        "initContainers": [box("200m", restartPolicy="Always"), box("3")],
    }

    def cpu(spec: Object) -> str:
        return arithmetic.used(one, {"pods": [{"metadata": {}, "spec": spec}]})["requests.cpu"]

    assert cpu(spec) == "3200m"
    assert cpu(spec | {"initContainers": spec["initContainers"][:1]}) == "1700m"
    assert cpu(spec | {"resources": {"requests": {"cpu": "2"}}, "overhead": {"cpu": "100m"}}) == "2100m"
