"""Where pods go: the rules, and the scheduler on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.controllers import filters, preemption
from kubesim.controllers.amounts import requests
from kubesim.controllers.filters import NodeInfo, Pending
from kubesim.controllers.kinds import EVENTS, NODES, PODS
from kubesim.controllers.meta import condition
from kubesim.resources import Object
from tests.kubesim.controllers.world import World


def container(cpu: str = "", memory: str = "", **fields: Any) -> Object:
    asked = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return {"name": "main", "image": "i", "resources": {"requests": asked}} | fields


def pod(*containers: Object, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    metadata = {"name": "p", "namespace": "default", "uid": "p", "labels": labels or {}}
    return {"metadata": metadata, "spec": {"containers": list(containers) or [container()]} | spec}


def node(
    name: str = "n1", *, labels: dict[str, str] | None = None, pods: tuple[Object, ...] = (), **spec: Any
) -> NodeInfo:
    status = {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "3"}}
    info = NodeInfo(
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | (labels or {})},
            "spec": spec,
            "status": status,
        }
    )
    for number, each in enumerate(pods):
        info.pods[str(number)] = each
        info.requests[str(number)] = requests(each)
    return info


def refusal(body: Object, *nodes: NodeInfo) -> list[str]:
    """Why the first node will not do."""
    return filters.refusal(Pending(body, requests(body), nodes), nodes[0])


def test_a_pod_asks_for_its_containers_or_its_largest_init_container() -> None:
    body = pod(
        container("500m", "1Gi"),
        container("250m"),
        initContainers=[container("100m", restartPolicy="Always"), container("2"), container("", "3Gi")],
        overhead={"cpu": "50m"},
    )
    assert requests(body) == {"cpu": 2150, "memory": 3 * 1024**3}


@pytest.mark.parametrize(
    ("body", "info", "expected"),
    [
        (pod(container("2")), node(), []),
        (pod(container("3")), node(), ["Insufficient cpu"]),
        (
            pod(container("1500m", "2Gi")),
            node(pods=(pod(container("1")),)),
            ["Insufficient cpu", "Insufficient memory"],
        ),
        (pod(), node(pods=(pod(), pod(), pod())), ["Too many pods"]),
        (pod(container("0", resources={"requests": {"nvidia.com/gpu": "1"}})), node(), ["Insufficient nvidia.com/gpu"]),
        (pod(), node(unschedulable=True), ["node(s) were unschedulable"]),
        (pod(nodeSelector={"disk": "ssd"}), node(), ["node(s) didn't match Pod's node affinity/selector"]),
        (pod(nodeSelector={"disk": "ssd"}), node(labels={"disk": "ssd"}), []),
        (
            pod(),
            node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            ["node(s) had untolerated taint(s)"],
        ),
        (pod(), node(taints=[{"key": "gpu", "effect": "PreferNoSchedule"}]), []),
        (
            pod(tolerations=[{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]),
            node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            [],
        ),
        (pod(tolerations=[{"operator": "Exists"}]), node(unschedulable=True), []),
        (
            pod(container(ports=[{"containerPort": 80, "hostPort": 80}])),
            node(pods=(pod(container(ports=[{"containerPort": 8080, "hostPort": 80}])),)),
            ["node(s) didn't have free ports for the requested pod ports"],
        ),
    ],
)
def test_filters(body: Object, info: NodeInfo, expected: list[str]) -> None:
    assert refusal(body, info) == expected


def test_affinity_terms_and_their_operators() -> None:
    def wants(*expressions: Object) -> Object:
        terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
        return pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})

    info = node(labels={"zone": "a", "cores": "8"})
    assert refusal(wants({"key": "zone", "operator": "In", "values": ["a", "b"]}), info) == []
    assert refusal(wants({"key": "zone", "operator": "NotIn", "values": ["a"]}), info)
    assert refusal(wants({"key": "cores", "operator": "Gt", "values": ["4"]}), info) == []
    assert refusal(wants({"key": "cores", "operator": "Lt", "values": ["4"]}), info)
    assert refusal(wants({"key": "gpu", "operator": "DoesNotExist"}), info) == []
    assert refusal(wants(), info)


def test_pods_that_keep_apart_and_together() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    web = pod(labels={"app": "web"})
    apart = pod(
        labels={"app": "web"}, affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    )
    together = pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    full, empty = node("n1", pods=(web,)), node("n2")
    assert refusal(apart, full, empty) == ["node(s) didn't match pod anti-affinity rules"]
    assert refusal(apart, empty, full) == []
    assert refusal(together, empty, full) == ["node(s) didn't match pod affinity rules"]
    assert refusal(together, full, empty) == []
    assert refusal(web, node("n1", pods=(apart,))) == ["node(s) didn't satisfy existing pods anti-affinity rules"]


def test_pods_are_spread() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    body = pod(labels={"app": "web"}, topologySpreadConstraints=[constraint])
    full, empty = node("n1", pods=(pod(labels={"app": "web"}),)), node("n2")
    assert refusal(body, full, empty) == ["node(s) didn't match pod topology spread constraints"]
    assert refusal(body, empty, full) == []


def test_the_message_counts_reasons() -> None:
    found = filters.failure_message(
        {
            "a": ["Insufficient cpu"],
            "b": ["Insufficient cpu", "Insufficient memory"],
            "c": ["node(s) were unschedulable"],
        }
    )
    assert found == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu. no new claims to deallocate, "
        "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
    )


def test_the_emptier_node_is_better_and_preferences_count() -> None:
    body = pod(container("500m"))
    pending = Pending(body, requests(body), [])
    assert filters.score(pending, node()) > filters.score(pending, node(pods=(pod(container("1", "512Mi")),)))
    preference = {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}}
    liking = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}})
    pending = Pending(liking, {}, [])
    assert filters.score(pending, node(labels={"zone": "a"})) > filters.score(pending, node())


def named(name: str, *containers: Object, **spec: Any) -> Object:
    body = pod(*containers, **spec)
    body["metadata"] = {"name": name, "namespace": "default"}
    body["spec"]["terminationGracePeriodSeconds"] = 0
    return body


async def test_a_pod_that_fits_nowhere_waits_and_says_why(world: World) -> None:
    await world.client.create(PODS, named("first", container("6")))
    await world.until(PODS, lambda p: p["spec"].get("nodeName"), name="first")
    await world.client.create(PODS, named("second", container("4")))
    waiting = await world.until(PODS, lambda p: condition(p, "PodScheduled"), name="second")
    scheduled = condition(waiting, "PodScheduled")
    assert scheduled is not None
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert scheduled["message"].startswith("0/1 nodes are available: 1 Insufficient cpu. ")
    await world.settled()
    assert ("Pod", "FailedScheduling") in await world.reasons()
    await world.client.delete(PODS, "first", "default")
    await world.until(PODS, lambda p: p["spec"].get("nodeName") == "node-1", name="second")
    await world.settled()
    events = [
        e for e in await world.items(EVENTS) if e["reason"] == "Scheduled" and e["involvedObject"]["name"] == "second"
    ]
    assert [(e["message"], e["action"]) for e in events] == [
        ("Successfully assigned default/second to node-1", "Binding")
    ]


async def test_a_cordoned_node_takes_nothing_until_it_is_uncordoned(world: World) -> None:
    await world.until(NODES, lambda n: True, "")
    await world.client.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
    await world.until(NODES, lambda n: n["spec"].get("taints"), "")
    await world.client.create(PODS, named("p"))
    waiting = await world.until(PODS, lambda p: condition(p, "PodScheduled"))
    assert "1 node(s) were unschedulable" in (condition(waiting, "PodScheduled") or {})["message"]
    await world.client.patch(NODES, "node-1", {"spec": {"unschedulable": None}})
    await world.until(PODS, lambda p: p["spec"].get("nodeName") == "node-1")


async def test_higher_priorities_go_first(cluster: Any) -> None:
    world = World(cluster)
    for name, value in (("low", 1), ("high", 1000)):
        await world.client.create("scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": value})
    await world.client.create("v1/serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    for name, priority in (("a", "low"), ("b", "high")):
        await world.client.create(PODS, named(name, container("6"), priorityClassName=priority))
    world.start()
    await world.until(PODS, lambda p: p["spec"].get("nodeName"), name="b")
    await world.settled()
    assert not (await world.client.get(PODS, "a", "default"))["spec"].get("nodeName")
    await world.stop()


async def test_gated_pods_are_left_alone(world: World) -> None:
    await world.client.create(PODS, named("p", schedulingGates=[{"name": "lab.example/wait"}]))
    gated = await world.until(PODS, lambda p: condition(p, "PodScheduled"))
    assert (condition(gated, "PodScheduled") or {})["reason"] == "SchedulingGated"
    await world.client.patch(PODS, "p", {"spec": {"schedulingGates": None}}, "default")
    await world.until(PODS, lambda p: p["spec"].get("nodeName") == "node-1")


def rated(priority: int, cpu: str, name: str = "p") -> Object:
    body = pod(container(cpu), priority=priority)
    body["metadata"] |= {"name": name, "uid": name}
    return body


def victims(body: Object, *nodes: NodeInfo) -> list[str]:
    found = preemption.choose(Pending(body, requests(body), nodes), nodes)
    return [v["metadata"]["name"] for v in found[1]] if found else []


def test_as_few_and_as_unimportant_pods_as_possible_make_room() -> None:
    crowded = node(pods=(rated(5, "1", "mid"), rated(1, "500m", "low"), rated(9, "500m", "top")))
    assert victims(rated(10, "500m"), crowded) == ["low"]
    assert victims(rated(10, "1"), crowded) == ["mid"]
    assert victims(rated(6, "2"), crowded) == []
    assert victims(rated(1, "500m"), crowded) == []
    other = node("n2", pods=(rated(0, "2", "least"),))
    assert victims(rated(10, "500m"), crowded, other) == ["least"]


async def test_a_pod_of_lower_priority_makes_room(world: World) -> None:
    for name, value in (("low", 1), ("high", 1000)):
        await world.client.create("scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": value})
    await world.client.create(PODS, named("a", container("6"), priorityClassName="low"))
    await world.until(PODS, lambda p: p["status"].get("phase") == "Running", name="a")
    await world.client.create(PODS, named("b", container("6"), priorityClassName="high"))
    await world.until(PODS, lambda p: p["status"].get("phase") == "Running", name="b")
    await world.gone(PODS, "a")
    await world.settled()
    assert ("Pod", "Preempted") in await world.reasons()
