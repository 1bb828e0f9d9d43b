"""Defaults of HorizontalPodAutoscalers."""

from __future__ import annotations

from kubesim.resources import Object

SCALE_UP = (("Pods", 4, 15), ("Percent", 100, 15))
SCALE_DOWN = (("Percent", 100, 15),)
DEFAULT_UTILIZATION = 80


def v2(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": DEFAULT_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior:
        _rules(behavior, "scaleUp", SCALE_UP, stabilization=0)
        _rules(behavior, "scaleDown", SCALE_DOWN, stabilization=None)


def _rules(
    behavior: Object, name: str, policies: tuple[tuple[str, int, int], ...], *, stabilization: int | None
) -> None:
    rules = behavior.setdefault(name, {})
    if stabilization is not None:
        rules.setdefault("stabilizationWindowSeconds", stabilization)
    rules.setdefault("selectPolicy", "Max")
    if not rules.get("policies"):
        rules["policies"] = [
            {"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies
        ]


def v1(obj: Object) -> None:
    obj["spec"].setdefault("minReplicas", 1)
