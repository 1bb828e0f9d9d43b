"""How many replicas a metric asks for, and how fast an autoscaler may get there. Pure, with Kubernetes's rules.

Pods without a measurement are assumed to use nothing when scaling up and their full target when scaling down, so that what is unknown never makes
a change larger. Recommendations are then held back by the stabilization windows and the policies of `spec.behavior`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from kubesim.controllers.clock import parse
from kubesim.controllers.meta import condition, deleting, phase
from kubesim.resources import Object

TOLERANCE = 0.1
CPU_START, READINESS_DELAY = timedelta(minutes=5), timedelta(seconds=30)
UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
DOWN = {
    "stabilizationWindowSeconds": 300,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


class Unknown(Exception):
    """A metric that cannot be computed now; the message is Kubernetes's."""


@dataclass(frozen=True)
class Sample:
    """What one pod uses (milli-units), measured over `window` until `at`."""

    value: int
    at: datetime
    window: timedelta


@dataclass(frozen=True)
class Groups:
    """Pods by what their measurement is worth. `ready` counts those that are to be averaged."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


@dataclass(frozen=True)
class Recommendation:
    """A metric's answer: the replicas, and what the status shows of it."""

    replicas: int
    utilization: int | None
    average: int


def group(pods: Iterable[Object], samples: Mapping[str, Sample], resource: str, now: datetime) -> Groups:
    """Sort pods by name."""
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in pods:
        name = pod["metadata"]["name"]
        if deleting(pod) or phase(pod) == "Failed":
            ignored.add(name)
        elif phase(pod) == "Pending":
            unready.add(name)
        elif name not in samples:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, samples[name], now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _is_starting(pod: Object, sample: Sample, now: datetime) -> bool:
    """Whether the CPU a pod used was start-up's: not ready, or measured before it was."""
    ready = condition(pod, "Ready")
    started = (pod.get("status") or {}).get("startTime")
    if ready is None or not started:
        return True
    since = parse(ready["lastTransitionTime"])
    if parse(started) + CPU_START > now:
        return bool(ready["status"] == "False" or sample.at < since + sample.window)
    return bool(ready["status"] == "False" and parse(started) + READINESS_DELAY > since)


def recommend(
    current: int,
    samples: Mapping[str, Sample],
    groups: Groups,
    target: int,
    *,
    requests: Mapping[str, int] | None = None,
    tolerance: float = TOLERANCE,
) -> Recommendation:
    """The replicas for a target: percent of `requests` where they are given, else an average value (milli-units)."""
    used = {n: s.value for n, s in samples.items() if n not in groups.ignored | groups.unready}
    if not used:
        raise Unknown("did not receive metrics for targeted pods (pods might be unready)")
    ratio, utilization, average = _ratio(used, target, requests)

    def answer(replicas: int) -> Recommendation:
        return Recommendation(replicas, utilization, average)

    scales_up_unready = bool(groups.unready) and ratio > 1
    if not scales_up_unready and not groups.missing:
        return answer(current if abs(1 - ratio) <= tolerance else ceil(ratio * groups.ready))
    if ratio < 1:
        full = {n: requests[n] * max(100, target) // 100 if requests else target for n in groups.missing}
        used |= full
    elif ratio > 1:
        used |= dict.fromkeys(groups.missing, 0)
    if scales_up_unready:
        used |= dict.fromkeys(groups.unready, 0)
    again, _, _ = _ratio(used, target, requests)
    if abs(1 - again) <= tolerance or (ratio < 1) != (again < 1):
        return answer(current)
    wanted = ceil(again * len(used))
    return answer(current if (again < 1 and wanted > current) or (again > 1 and wanted < current) else wanted)


def _ratio(used: Mapping[str, int], target: int, requests: Mapping[str, int] | None) -> tuple[float, int | None, int]:
    total = sum(used.values())
    average = total // len(used)
    if requests is None:
        return average / target, None, average
    asked = sum(requests[name] for name in used)
    if not asked:
        raise Unknown("no metrics returned matched known pods")
    utilization = total * 100 // asked
    return utilization / target, utilization, average


# behaviour


@dataclass(frozen=True)
class Event:
    """A past change of size (`change` pods, always positive) or a past recommendation (`change` is the size)."""

    at: datetime
    change: int


@dataclass(frozen=True)
class Limits:
    """The bounds of an autoscaler and the rules of its behaviour."""

    minimum: int
    maximum: int
    up: Object
    down: Object


@dataclass(frozen=True)
class Step:
    """The size to go to, and the conditions' reasons and messages."""

    replicas: int
    able: tuple[str, str]
    limited: tuple[str, str, str]


def stabilize(
    wanted: int, current: int, recent: Iterable[Event], limits: Limits, now: datetime
) -> tuple[int, tuple[str, str]]:
    """Go up only as far as the lowest, down only as far as the highest recommendation within the window."""
    up, down = wanted, wanted
    up_since = now - timedelta(seconds=limits.up.get("stabilizationWindowSeconds") or 0)
    down_since = now - timedelta(seconds=limits.down.get("stabilizationWindowSeconds") or 0)
    for past in recent:
        if past.at > up_since:
            up = min(up, past.change)
        if past.at > down_since:
            down = max(down, past.change)
    held = current
    if held < up:
        held = up
    if held > down:
        held = down
    if held == wanted:
        return held, ("ReadyForNewScale", "recommended size matches current size")
    if wanted > current:
        return held, (
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent recommendation",
        )
    return held, (
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, applying the highest recent recommendation",
    )


def limit(
    wanted: int, current: int, ups: Sequence[Event], downs: Sequence[Event], limits: Limits, now: datetime
) -> tuple[int, tuple[str, str, str]]:
    """Apply the policies' rates and the bounds: (size, (status, reason, message) of ScalingLimited)."""
    if wanted > current:
        ceiling = max(current, _up_limit(current, ups, downs, limits.up, now))
        bound = min(limits.maximum, ceiling)
        if wanted > bound:
            if ceiling < limits.maximum:
                return bound, (
                    "True",
                    "ScaleUpLimit",
                    "the desired replica count is increasing faster than the maximum scale rate",
                )
            return bound, (
                "True",
                "TooManyReplicas",
                "the desired replica count is more than the maximum replica count",
            )
    elif wanted < current:
        floor = min(current, _down_limit(current, ups, downs, limits.down, now))
        bound = max(limits.minimum, floor)
        if wanted < bound:
            if floor > limits.minimum:
                return bound, (
                    "True",
                    "ScaleDownLimit",
                    "the desired replica count is decreasing faster than the maximum scale rate",
                )
            return bound, ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    if wanted > limits.maximum:
        return limits.maximum, (
            "True",
            "TooManyReplicas",
            "the desired replica count is more than the maximum replica count",
        )
    if wanted < limits.minimum:
        return limits.minimum, (
            "True",
            "TooFewReplicas",
            "the desired replica count is less than the minimum replica count",
        )
    return wanted, ("False", "DesiredWithinRange", "the desired count is within the acceptable range")


def _changed(events: Iterable[Event], seconds: int, now: datetime) -> int:
    since = now - timedelta(seconds=seconds)
    return sum(e.change for e in events if e.at > since)


def _up_limit(current: int, ups: Sequence[Event], downs: Sequence[Event], rules: Object, now: datetime) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    found: list[int] = []
    for policy in rules["policies"]:
        start = current - _changed(ups, policy["periodSeconds"], now) + _changed(downs, policy["periodSeconds"], now)
        grown = start + policy["value"] if policy["type"] == "Pods" else ceil(start * (1 + policy["value"] / 100))
        found.append(grown)
    return min(found) if rules.get("selectPolicy") == "Min" else max(found)


def _down_limit(current: int, ups: Sequence[Event], downs: Sequence[Event], rules: Object, now: datetime) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    found: list[int] = []
    for policy in rules["policies"]:
        start = current - _changed(ups, policy["periodSeconds"], now) + _changed(downs, policy["periodSeconds"], now)
        shrunk = start - policy["value"] if policy["type"] == "Pods" else int(start * (1 - policy["value"] / 100))
        found.append(shrunk)
    return max(found) if rules.get("selectPolicy") == "Min" else min(found)
