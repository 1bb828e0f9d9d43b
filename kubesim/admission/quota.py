"""ResourceQuota's arithmetic, pure: what an object uses, which quotas it counts against, what a quota's status says.

A kind is named as quotas name it, by its group resource: "pods", "deployments.apps". Each constraint of a quota is used by one kind only, so a
request is judged by the objects of its own kind. The quota controller fills `status` with the same functions that admission refuses by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubesim.admission.amounts import Amount, Amounts, amounts, container_amounts, count, pod_amounts, total
from kubesim.resources import Object

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_MUST_SPECIFY = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_COUNTED_BY_NAME = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
_OF_KIND = {
    "pods": "pods",
    "services": "services",
    "services.nodeports": "services",
    "services.loadbalancers": "services",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "requests.storage": "persistentvolumeclaims",
}
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"


def kind_of(constraint: str) -> str:
    """The group resource that uses up a constraint such as "cpu", "count/jobs.batch" or "services.nodeports"."""
    if constraint.startswith("count/"):
        return constraint.removeprefix("count/")
    if _CLASS_SUFFIX in constraint:
        return "persistentvolumeclaims"
    if constraint in _COUNTED_BY_NAME:
        return constraint
    return _OF_KIND.get(constraint, "pods")


def kinds(quota: Object) -> set[str]:
    """The group resources whose objects a quota counts."""
    return {kind_of(constraint) for constraint in hard(quota)}


def hard(quota: Object) -> Amounts:
    return amounts((quota.get("spec") or {}).get("hard"))


def usage(kind: str, obj: Object) -> Amounts:
    """What one object uses, by constraint."""
    used = {f"count/{kind}": count(1)}
    if kind == "pods":
        return used | (_pod(obj) if _is_charged(obj) else {})
    if kind == "services":
        return used | _service(obj)
    if kind == "persistentvolumeclaims":
        return used | _claim(obj)
    return used | ({kind: count(1)} if kind in _COUNTED_BY_NAME else {})


def used(quota: Object, objects: Mapping[str, Iterable[Object]]) -> dict[str, str]:
    """`status.used`: for each constraint of `spec.hard` the sum over the namespace's objects, given by group resource."""
    names = hard(quota)
    sums = total(
        (usage(kind, obj) for kind, found in objects.items() for obj in found if matches(quota, kind, obj)), names
    )
    return {name: str(sums.get(name, count(0))) for name in names}


def _pod(pod: Object) -> Amounts:
    used = {"pods": count(1)}
    for name, amount in pod_amounts(pod, "requests").items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            used |= {name: amount, f"requests.{name}": amount}
        elif "/" in name:
            used[f"requests.{name}"] = amount
    limits = pod_amounts(pod, "limits")
    return used | {f"limits.{name}": limits[name] for name in _COMPUTE if name in limits}


def _is_charged(pod: Object) -> bool:
    """A pod that has ended holds nothing any more; it is still an object."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _service(service: Object) -> Amounts:
    spec = service.get("spec") or {}
    balanced = spec.get("type") == "LoadBalancer"
    ports = len(spec.get("ports") or ())
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
    elif not balanced and spec.get("type") != "NodePort":
        ports = 0
    return {
        "services": count(1),
        "services.nodeports": count(ports),
        "services.loadbalancers": count(int(balanced)),
    }


def _claim(claim: Object) -> Amounts:
    spec = claim.get("spec") or {}
    storage = amounts((spec.get("resources") or {}).get("requests")).get("storage", count(0))
    used = {"persistentvolumeclaims": count(1), "requests.storage": storage}
    if spec.get("storageClassName"):
        prefix = spec["storageClassName"] + _CLASS_SUFFIX
        used |= {f"{prefix}{name}": amount for name, amount in used.items()}
    return used


def is_scoped(quota: Object) -> bool:
    spec = quota.get("spec") or {}
    return bool(spec.get("scopes") or (spec.get("scopeSelector") or {}).get("matchExpressions"))


def matches(quota: Object, kind: str, obj: Object) -> bool:
    """Whether an object is within the quota's scopes. Only pods have any: a quota with scopes counts nothing else."""
    spec = quota.get("spec") or {}
    wanted: list[Mapping[str, Any]] = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not wanted or (kind == "pods" and all(_in_scope(obj, scope) for scope in wanted))


def _in_scope(pod: Object, scope: Mapping[str, Any]) -> bool:
    spec, name = pod.get("spec") or {}, scope.get("scopeName")
    if name in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) is (name == "Terminating")
    if name in ("BestEffort", "NotBestEffort"):
        return _is_best_effort(spec) is (name == "BestEffort")
    if name == "PriorityClass":
        return _has_priority_class(spec.get("priorityClassName") or "", scope)
    return name == "CrossNamespacePodAffinity" and _reaches_out(spec)


def _is_best_effort(spec: Mapping[str, Any]) -> bool:
    holders = (spec, *(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return not any(container_amounts(one, which) for one in holders for which in ("requests", "limits"))


def _has_priority_class(name: str, scope: Mapping[str, Any]) -> bool:
    operator, values = scope.get("operator"), scope.get("values") or ()
    if operator in ("In", "NotIn"):
        return (name in values) is (operator == "In")
    return bool(name) is (operator == "Exists")


def _reaches_out(spec: Mapping[str, Any]) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [one.get("podAffinityTerm") or {} for one in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def unspecified(quota: Object, pod: Object) -> str:
    """`cpu for: main; memory for: main`: what a quota on compute resources demands that each container says, and is not said."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    missing: dict[str, list[str]] = {}
    for constraint in sorted(_MUST_SPECIFY & set(hard(quota))):
        lacking = sorted({str(one["name"]) for one in containers if not _says(constraint, spec, one)})
        if lacking:
            missing[constraint] = lacking
    return "; ".join(f"{constraint} for: {','.join(names)}" for constraint, names in missing.items())


def _says(constraint: str, *holders: Mapping[str, Any]) -> bool:
    which, _, name = constraint.rpartition(".")
    return any(name in ((one.get("resources") or {}).get(which or "requests") or {}) for one in holders)


def exceeded(limit: Mapping[str, Amount], used: Mapping[str, Amount], wanted: Mapping[str, Amount]) -> Sequence[str]:
    """The constraints that `wanted` would take beyond `limit`. What asks for nothing more exceeds nothing."""
    return [
        name
        for name, amount in wanted.items()
        if name in limit and amount.value > 0 and used.get(name, count(0)).value + amount.value > limit[name].value
    ]
