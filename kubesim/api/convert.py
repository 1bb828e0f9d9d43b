"""Kinds that are served in more than one version, and kept in one.

HorizontalPodAutoscalers are kept as autoscaling/v2, events as core v1, custom resources in whatever version they were last written
(their conversion strategy is None, so only apiVersion differs). Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.resources import Object, Resource

_EVENT_NAMES = {
    "note": "message",
    "regarding": "involvedObject",
    "deprecatedSource": "source",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
}


def to_version(resource: Resource, obj: Object) -> Object:
    """`obj`, as stored, in the version of `resource`; the very same object where that is its version."""
    if obj.get("apiVersion") == resource.api_version:
        return obj
    return _OUT.get(resource.key, _same)(obj) | {"apiVersion": resource.api_version}


def to_storage(resource: Resource, obj: Object) -> Object:
    """`obj`, in the version of `resource`, as it is kept."""
    convert = _IN.get(resource.key)
    return obj if convert is None else convert(obj)


def _same(obj: Object) -> Object:
    return obj


def _rename(obj: Object, names: dict[str, str]) -> Object:
    return {names.get(key, key): value for key, value in obj.items()}


def _event_out(obj: Object) -> Object:
    return _rename(obj, {old: new for new, old in _EVENT_NAMES.items()})


def _event_in(obj: Object) -> Object:
    return _rename(obj, _EVENT_NAMES) | {"apiVersion": "v1"}


def _hpa_in(obj: Object) -> Object:
    """autoscaling/v1 to v2: the one target becomes a metric."""
    spec = dict(obj.get("spec") or {})
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        goal = {"type": "Utilization", "averageUtilization": target}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": goal}}]
    status = dict(obj.get("status") or {})
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        now = {"averageUtilization": current, "averageValue": "0"}
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": now}}]
    return obj | {"apiVersion": "autoscaling/v2", "spec": spec} | ({"status": status} if "status" in obj else {})


def _hpa_out(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    status = dict(obj.get("status") or {})
    target = _cpu(spec.pop("metrics", None), "target")
    spec.pop("behavior", None)
    if target is not None:
        spec["targetCPUUtilizationPercentage"] = target
    current = _cpu(status.pop("currentMetrics", None), "current")
    status.pop("conditions", None)
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    return obj | {"spec": spec, "status": status}


def _cpu(metrics: list[Object] | None, what: str) -> int | None:
    for metric in metrics or ():
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            value = (resource.get(what) or {}).get("averageUtilization")
            return None if value is None else int(value)
    return None


_OUT: dict[str, Callable[[Object], Object]] = {
    "events.k8s.io/v1/events": _event_out,
    "autoscaling/v1/horizontalpodautoscalers": _hpa_out,
}
_IN: dict[str, Callable[[Object], Object]] = {
    "events.k8s.io/v1/events": _event_in,
    "autoscaling/v1/horizontalpodautoscalers": _hpa_in,
}
