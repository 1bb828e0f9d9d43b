"""HorizontalPodAutoscalers, PodDisruptionBudgets and PriorityClasses."""

from __future__ import annotations

from kubesim import quantity
from kubesim.admission.validation import apps, meta, names
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
CORE_KINDS = frozenset({"ReplicationController"})
HIGHEST = 1_000_000_000


def autoscaler(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        problems.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        problems.invalid("spec.maxReplicas", high, "must be greater than 0")
    if low is not None and high < low:
        problems.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    _target_ref(problems, spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for at, metric in enumerate(spec.get("metrics") or ()):
        _metric(problems, metric, f"spec.metrics[{at}]")
    for direction in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(direction)
        if rules:
            _rules(problems, rules, f"spec.behavior.{direction}")


def _target_ref(problems: Problems, reference: Object, path: str) -> None:
    for field in ("kind", "name"):
        if not reference.get(field):
            problems.required(f"{path}.{field}")
        else:
            for message in names.path_segment(reference[field]):
                problems.invalid(f"{path}.{field}", reference[field], message)
    version, kind = reference.get("apiVersion") or "", reference.get("kind")
    if kind and kind not in CORE_KINDS and "/" not in version:
        problems.invalid(f"{path}.apiVersion", version, "apiVersion must specify API group")


def _metric(problems: Problems, metric: Object, path: str) -> None:
    kind = metric.get("type") or ""
    if not kind:
        problems.required(f"{path}.type", "must specify a metric source type")
    elif kind not in SOURCES:
        problems.unsupported(f"{path}.type", kind, sorted(SOURCES))
    given = [field for field in SOURCES.values() if metric.get(field) is not None]
    for extra in given:
        if kind in SOURCES and extra != SOURCES[kind]:
            problems.forbidden(f"{path}.{extra}", "must populate the given metric source only")
    if kind in SOURCES and SOURCES[kind] not in given:
        problems.required(f"{path}.{SOURCES[kind]}", "must populate information for the given metric source")
    elif kind in ("Resource", "ContainerResource"):
        source, here = metric[SOURCES[kind]], f"{path}.{SOURCES[kind]}"
        if not source.get("name"):
            problems.required(f"{here}.name", "must specify a resource name")
        if kind == "ContainerResource" and not source.get("container"):
            problems.required(f"{here}.container", "must specify a container")
        _target(problems, source.get("target") or {}, f"{here}.target")


def _target(problems: Problems, target: Object, path: str) -> None:
    kind, utilization, average = target.get("type"), target.get("averageUtilization"), target.get("averageValue")
    if not kind:
        problems.required(f"{path}.type", "must specify a metric target type")
    elif kind not in ("AverageValue", "Utilization", "Value"):
        problems.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    if utilization is not None and utilization < 1:
        problems.invalid(f"{path}.averageUtilization", utilization, "must be greater than 0")
    if average is not None and quantity.parse(average) <= 0:
        problems.invalid(f"{path}.averageValue", average, "must be positive")
    if utilization is None and average is None:
        problems.required(f"{path}.averageUtilization", "must set either a target raw value or a target utilization")
    elif utilization is not None and average is not None:
        problems.forbidden(f"{path}.averageValue", "may not set both a target raw value and a target utilization")


def _rules(problems: Problems, rules: Object, path: str) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and not 0 <= window <= 3600:
        limit = "must be greater than or equal to zero" if window < 0 else "must be less than or equal to 3600"
        problems.invalid(f"{path}.stabilizationWindowSeconds", window, limit)
    if rules.get("selectPolicy") not in (None, "Disabled", "Max", "Min"):
        problems.unsupported(f"{path}.selectPolicy", rules["selectPolicy"], ["Disabled", "Max", "Min"])
    if not rules.get("policies"):
        problems.required(f"{path}.policies", "must specify at least one Policy")
    for at, policy in enumerate(rules.get("policies") or ()):
        here = f"{path}.policies[{at}]"
        if policy.get("type") not in ("Percent", "Pods"):
            problems.unsupported(f"{here}.type", policy.get("type", ""), ["Percent", "Pods"])
        if policy.get("value", 0) <= 0:
            problems.invalid(f"{here}.value", policy.get("value", 0), "must be greater than zero")
        period = policy.get("periodSeconds", 0)
        if not 0 < period <= 1800:
            limit = "must be greater than zero" if period <= 0 else "must be less than or equal to 1800"
            problems.invalid(f"{here}.periodSeconds", period, limit)


def autoscaler_update(problems: Problems, obj: Object, old: Object) -> None:
    autoscaler(problems, obj)


def disruption_budget(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        problems.invalid("spec", {key: spec[key] for key in spec}, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            apps.share(problems, spec[field], f"spec.{field}")
            if isinstance(spec[field], str) and spec[field][:-1].isdigit() and int(spec[field][:-1]) > 100:
                problems.invalid(f"spec.{field}", spec[field], "must not be greater than 100%")
    meta.selector(problems, spec.get("selector"), "spec.selector")
    if spec.get("unhealthyPodEvictionPolicy") not in (None, "AlwaysAllow", "IfHealthyBudget"):
        problems.unsupported(
            "spec.unhealthyPodEvictionPolicy", spec["unhealthyPodEvictionPolicy"], ["AlwaysAllow", "IfHealthyBudget"]
        )


def disruption_budget_update(problems: Problems, obj: Object, old: Object) -> None:
    disruption_budget(problems, obj)


def priority_class(problems: Problems, obj: Object) -> None:
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        if name not in ("system-cluster-critical", "system-node-critical"):
            problems.forbidden(
                "metadata.name",
                "priority class names with 'system-' prefix are reserved for system use only. error: "
                + f"{name} is not a known system priority class",
            )
    elif value > HIGHEST:
        problems.forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST}")
    if obj.get("preemptionPolicy") not in (None, "Never", "PreemptLowerPriority"):
        problems.unsupported("preemptionPolicy", obj["preemptionPolicy"], ["Never", "PreemptLowerPriority"])


def priority_class_update(problems: Problems, obj: Object, old: Object) -> None:
    if (obj.get("value") or 0) != (old.get("value") or 0):
        problems.forbidden("value", "may not be changed in an update.")
    if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
        problems.invalid("preemptionPolicy", obj.get("preemptionPolicy"), "field is immutable")
