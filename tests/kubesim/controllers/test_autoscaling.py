"""Autoscaling: the rules, and a HorizontalPodAutoscaler on a real API server with measurements of the test's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubesim.controllers import replicas
from kubesim.controllers.autoscaler import Autoscalers, limits_of
from kubesim.controllers.clock import stamp
from kubesim.controllers.kinds import AUTOSCALERS, DEPLOYMENTS, POD_METRICS, PODS
from kubesim.controllers.meta import condition
from kubesim.controllers.replicas import Event, Groups, Sample
from kubesim.resources import Object
from tests.kubesim.controllers.world import World, deployment

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def measured(*values: int) -> dict[str, Sample]:
    return {f"p{n}": Sample(value, NOW, timedelta(seconds=15)) for n, value in enumerate(values)}


def groups(ready: int, *, unready: tuple[str, ...] = (), missing: tuple[str, ...] = ()) -> Groups:
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset())


def asked(count: int, each: int = 1000) -> Mapping[str, int]:
    return {f"p{n}": each for n in range(count)}


@pytest.mark.parametrize(
    ("current", "values", "sorted_pods", "target", "expected", "utilization"),
    [
        # as in Kubernetes's replica calculator tests
        (3, (300, 500, 700), groups(3), 30, 5, 50),
        (3, (300, 500, 700), groups(3), 50, 3, 50),
        (5, (100, 300, 500, 250, 250), groups(5), 50, 3, 28),
        (3, (1010, 1030, 1020), groups(3), 100, 3, 102),  # within tolerance
        (3, (300, 500, 700), groups(2, unready=("p0",)), 30, 4, 60),  # an unready pod counts as idle
        (3, (500, 700), groups(2, missing=("p2",)), 30, 4, 60),  # and so does an unmeasured one, going up
        (4, (100, 200, 300), groups(3, missing=("p3",)), 50, 4, 20),  # going down it counts as fully used
        (2, (1000,), groups(1, missing=("p1",)), 100, 2, 100),
    ],
)
def test_recommendations(
    current: int, values: tuple[int, ...], sorted_pods: Groups, target: int, expected: int, utilization: int
) -> None:
    found = replicas.recommend(current, measured(*values), sorted_pods, target, requests=asked(5))
    assert (found.replicas, found.utilization) == (expected, utilization)


def test_nothing_measured_is_unknown() -> None:
    with pytest.raises(replicas.Unknown, match="did not receive metrics for targeted pods"):
        replicas.recommend(2, measured(100), groups(0, unready=("p0",)), 50, requests=asked(1))


def pod(name: str, *, phase: str = "Running", ready: bool = True, started: int = 600, since: int = 600) -> Object:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(NOW - timedelta(seconds=since))}]
    status = {"phase": phase, "conditions": conditions, "startTime": stamp(NOW - timedelta(seconds=started))}
    return {"metadata": {"name": name}, "status": status}


def test_pods_that_start_are_not_believed() -> None:
    found = replicas.group(
        [
            pod("steady"),
            pod("pending", phase="Pending"),
            pod("young", started=60, since=5),
            pod("settled", started=60, since=40),
            pod("sick", ready=False, started=600, since=590),
            pod("failed", phase="Failed"),
            pod("silent"),
        ],
        {name: Sample(1, NOW, timedelta(seconds=15)) for name in ("steady", "young", "settled", "sick", "failed")},
        "cpu",
        NOW,
    )
    assert found == Groups(2, frozenset({"pending", "young", "sick"}), frozenset({"silent"}), frozenset({"failed"}))


def ago(seconds: float, change: int) -> Event:
    return Event(NOW - timedelta(seconds=seconds), change)


def test_going_down_waits_for_the_window() -> None:
    limits = limits_of({"maxReplicas": 10})
    assert replicas.stabilize(2, 5, [ago(100, 6)], limits, NOW) == (
        5,
        (
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation",
        ),
    )
    assert replicas.stabilize(2, 5, [ago(301, 6)], limits, NOW)[0] == 2
    assert replicas.stabilize(2, 5, [ago(100, 4)], limits, NOW)[0] == 4
    assert replicas.stabilize(8, 5, [ago(100, 6)], limits, NOW)[0] == 8


def test_going_up_waits_for_its_window_where_one_is_set() -> None:
    limits = limits_of({"maxReplicas": 10, "behavior": {"scaleUp": {"stabilizationWindowSeconds": 60}}})
    held, (reason, _) = replicas.stabilize(8, 5, [ago(30, 6)], limits, NOW)
    assert (held, reason) == (6, "ScaleUpStabilized")


@pytest.mark.parametrize(
    ("behavior", "current", "wanted", "ups", "downs", "expected", "reason"),
    [
        ({}, 2, 3, [], [], 3, "DesiredWithinRange"),
        ({}, 2, 50, [], [], 6, "ScaleUpLimit"),  # four pods or double, whichever is more
        ({}, 10, 50, [], [], 20, "ScaleUpLimit"),
        ({}, 6, 50, [ago(5, 4)], [], 6, "ScaleUpLimit"),  # the period's allowance is used up
        ({}, 30, 99, [], [], 40, "TooManyReplicas"),
        ({}, 2, 0, [], [], 1, "TooFewReplicas"),
        (
            {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            5,
            1,
            [],
            [],
            4,
            "ScaleDownLimit",
        ),
        (
            {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            4,
            1,
            [],
            [ago(30, 1)],
            4,
            "ScaleDownLimit",
        ),
        (
            {"scaleDown": {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}},
            10,
            1,
            [],
            [],
            5,
            "ScaleDownLimit",
        ),
        ({"scaleDown": {"selectPolicy": "Disabled"}}, 5, 1, [], [], 5, "ScaleDownLimit"),
        ({"scaleUp": {"selectPolicy": "Min"}}, 10, 50, [], [], 14, "ScaleUpLimit"),
    ],
)
def test_rates(
    behavior: Object, current: int, wanted: int, ups: list[Event], downs: list[Event], expected: int, reason: str
) -> None:
    limits = limits_of({"maxReplicas": 40, "behavior": behavior})
    found, said = replicas.limit(wanted, current, ups, downs, limits, NOW)
    assert (found, said[1]) == (expected, reason)


# on the API


class Metrics:
    """A client that answers metrics.k8s.io itself."""

    def __init__(self, inner: Any, world: World) -> None:
        self.inner = inner
        self.world = world
        self.cpu = "0"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def list(self, resource: str, namespace: str = "", **selectors: str) -> Any:
        if resource != POD_METRICS:
            return await self.inner.list(resource, namespace, **selectors)
        assert self.world.clock is not None
        found = await self.inner.list(PODS, namespace)
        at = stamp(self.world.clock.now() + timedelta(hours=1))
        items = [
            {
                "metadata": p["metadata"],
                "timestamp": at,
                "window": "15s",
                "containers": [{"name": "main", "usage": {"cpu": self.cpu}}],
            }
            for p in found.items
        ]
        return type(found)(items, found.resource_version)


def scaler(**spec: Any) -> Object:
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 6, "metrics": metrics}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": body | spec}


def with_requests(body: Object) -> Object:
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    return body


@pytest.fixture
def metrics(still: World, monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """The test's measurements, in the autoscaler's client only."""
    source = Metrics(still.client, still)
    original = Autoscalers._samples

    async def samples(self: Autoscalers, *args: Any) -> Any:
        client = self.cluster.client
        self.cluster.client = source
        try:
            return await original(self, *args)
        finally:
            self.cluster.client = client

    monkeypatch.setattr(Autoscalers, "_samples", samples)
    return source


async def size(world: World) -> int:
    return int((await world.client.get(DEPLOYMENTS, "web", "default"))["spec"]["replicas"])


async def test_load_scales_up_at_once_and_down_after_five_minutes(still: World, metrics: Metrics) -> None:
    metrics.cpu = "100m"
    await still.client.create(DEPLOYMENTS, with_requests(deployment()))
    await still.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2)
    await still.client.create(AUTOSCALERS, scaler())
    scaled = await still.until(AUTOSCALERS, lambda a: (a.get("status") or {}).get("desiredReplicas") == 4)
    await still.settled()
    assert await size(still) == 4
    assert {c["type"]: c["reason"] for c in scaled["status"]["conditions"]} == {
        "AbleToScale": "SucceededRescale",
        "ScalingActive": "ValidMetricFound",
        "ScalingLimited": "DesiredWithinRange",
    }
    current = scaled["status"]["currentMetrics"]
    assert current == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": 100, "averageValue": "100m"}},
        }
    ]
    assert "lastScaleTime" in scaled["status"]
    metrics.cpu = "10m"
    await still.advance(60)
    assert await size(still) >= 4
    held = await still.client.get(AUTOSCALERS, "web", "default")
    assert (condition(held, "AbleToScale") or {})["reason"] == "ScaleDownStabilized"
    await still.advance(360)
    assert await size(still) == 2
    assert ("HorizontalPodAutoscaler", "SuccessfulRescale") in await still.reasons()


async def test_without_requests_it_says_what_is_missing(still: World, metrics: Metrics) -> None:
    await still.client.create(DEPLOYMENTS, deployment())
    await still.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2)
    await still.client.create(AUTOSCALERS, scaler())
    found = await still.until(AUTOSCALERS, lambda a: condition(a, "ScalingActive"))
    said = condition(found, "ScalingActive") or {}
    assert (said["status"], said["reason"]) == ("False", "FailedGetResourceMetric")
    expected = "the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu in container main of Pod web-"
    assert said["message"].startswith(expected)
    await still.settled()
    reasons = await still.reasons("HorizontalPodAutoscaler")
    assert {r for _, r in reasons} == {"FailedGetResourceMetric", "FailedComputeMetricsReplicas"}


async def test_a_target_that_is_not_there(still: World) -> None:
    await still.client.create(AUTOSCALERS, scaler())
    found = await still.until(AUTOSCALERS, lambda a: condition(a, "AbleToScale"))
    said = condition(found, "AbleToScale") or {}
    assert said["reason"] == "FailedGetScale"
    assert (
        said["message"]
        == 'the HPA controller was unable to get the target\'s current scale: deployments.apps "web" not found'
    )


async def test_bounds_come_before_metrics(still: World) -> None:
    await still.client.create(DEPLOYMENTS, deployment(replicas=1))
    await still.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 1)
    await still.client.create(AUTOSCALERS, scaler(minReplicas=3))
    await still.until(DEPLOYMENTS, lambda d: d["spec"]["replicas"] == 3)


async def test_a_steady_target_is_written_no_more(still: World, metrics: Metrics) -> None:
    metrics.cpu = "50m"
    await still.client.create(DEPLOYMENTS, with_requests(deployment()))
    await still.until(DEPLOYMENTS, lambda d: (d.get("status") or {}).get("availableReplicas") == 2)
    await still.client.create(AUTOSCALERS, scaler())
    await still.until(AUTOSCALERS, lambda a: condition(a, "ScalingActive"))
    await still.advance(60)
    still.calls.clear()
    await still.advance(60)
    assert [c for c in still.calls if c[1] == AUTOSCALERS] == []
