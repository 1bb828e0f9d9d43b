"""Pods: their spec (also as a template), and what of a running pod may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.admission.amounts import qos_class
from kubesim.admission.validation import containers, meta, names, resources, volumes
from kubesim.admission.validation.fields import Problems, difference
from kubesim.resources import Object, clone

RESTART = ("Always", "Never", "OnFailure")
DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
NODE_OPERATORS = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
MAX_INT32 = 2147483647
UPDATE_MESSAGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)


def create(problems: Problems, obj: Object) -> None:
    spec(problems, obj.get("spec") or {}, "spec")


def spec(problems: Problems, value: Object, path: str) -> None:
    known = volumes.volumes(problems, value.get("volumes") or (), f"{path}.volumes")
    containers.containers(problems, value, path, known)
    problems.choice(f"{path}.restartPolicy", value.get("restartPolicy"), RESTART)
    problems.choice(f"{path}.dnsPolicy", value.get("dnsPolicy"), DNS)
    if value.get("nodeSelector"):
        meta.labels(problems, value["nodeSelector"], f"{path}.nodeSelector")
    _security(problems, value.get("securityContext") or {}, f"{path}.securityContext")
    for at, each in enumerate(value.get("imagePullSecrets") or ()):
        if not each.get("name"):
            problems.required(f"{path}.imagePullSecrets[{at}].name")
    if value.get("affinity"):
        _affinity(problems, value["affinity"], f"{path}.affinity")
    _dns(problems, value, path)
    for field, check in NAMED:
        if value.get(field):
            for message in check(value[field]):
                problems.invalid(f"{path}.{field}", value[field], message)
    deadline = value.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        problems.invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {MAX_INT32}, inclusive")
    grace = value.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        problems.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
    tolerations(problems, value.get("tolerations") or (), f"{path}.tolerations")
    _spread(problems, value.get("topologySpreadConstraints") or (), f"{path}.topologySpreadConstraints")
    for at, alias in enumerate(value.get("hostAliases") or ()):
        for message in names.ip(alias.get("ip", "")):
            problems.invalid(f"{path}.hostAliases[{at}].ip", alias.get("ip", ""), message)
    if value.get("preemptionPolicy") not in (None, "PreemptLowerPriority", "Never"):
        problems.unsupported(f"{path}.preemptionPolicy", value["preemptionPolicy"], ["Never", "PreemptLowerPriority"])
    resources.requirements(problems, value.get("resources"), f"{path}.resources")


NAMED: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
    ("serviceAccountName", names.subdomain),
    ("nodeName", names.subdomain),
    ("hostname", names.label),
    ("subdomain", names.label),
    ("priorityClassName", names.subdomain),
    ("runtimeClassName", names.subdomain),
)


def _security(problems: Problems, context: Object, path: str) -> None:
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= MAX_INT32:
            problems.invalid(f"{path}.{name}", value, f"must be between 0 and {MAX_INT32}, inclusive")
    for at, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= MAX_INT32:
            problems.invalid(f"{path}.supplementalGroups[{at}]", group, f"must be between 0 and {MAX_INT32}, inclusive")


def _dns(problems: Problems, value: Object, path: str) -> None:
    config = value.get("dnsConfig")
    if value.get("dnsPolicy") == "None" and not (config or {}).get("nameservers"):
        problems.required(
            f"{path}.dnsConfig.nameservers" if config is not None else f"{path}.dnsConfig",
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        )
    for at, server in enumerate((config or {}).get("nameservers") or ()):
        for message in names.ip(server):
            problems.invalid(f"{path}.dnsConfig.nameservers[{at}]", server, message)


def tolerations(problems: Problems, values: Any, path: str) -> None:
    for at, each in enumerate(values):
        here, operator = f"{path}[{at}]", each.get("operator") or "Equal"
        if each.get("key"):
            for message in names.qualified(each["key"]):
                problems.invalid(f"{here}.key", each["key"], message)
        elif operator != "Exists":
            problems.invalid(
                f"{here}.operator",
                each.get("operator", ""),
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if each.get("tolerationSeconds") is not None and each.get("effect") != "NoExecute":
            problems.invalid(
                f"{here}.effect", each.get("effect", ""), "effect must be 'NoExecute' when `tolerationSeconds` is set"
            )
        if operator == "Equal":
            for message in names.label_value(each.get("value") or ""):
                problems.invalid(f"{here}.operator", each.get("value"), message)
        elif operator == "Exists":
            if each.get("value"):
                problems.invalid(f"{here}.operator", each, "value must be empty when `operator` is 'Exists'")
        else:
            problems.unsupported(f"{here}.operator", operator, ["Equal", "Exists"])
        if each.get("effect"):
            problems.choice(f"{here}.effect", each["effect"], EFFECTS)


def _spread(problems: Problems, values: Any, path: str) -> None:
    for at, each in enumerate(values):
        here = f"{path}[{at}]"
        if each.get("maxSkew", 0) <= 0:
            problems.invalid(f"{here}.maxSkew", each.get("maxSkew", 0), "must be greater than zero")
        if not each.get("topologyKey"):
            problems.required(f"{here}.topologyKey", "can not be empty")
        if each.get("whenUnsatisfiable") not in UNSATISFIABLE:
            problems.unsupported(f"{here}.whenUnsatisfiable", each.get("whenUnsatisfiable", ""), UNSATISFIABLE)
        meta.selector(problems, each.get("labelSelector"), f"{here}.labelSelector")


def _affinity(problems: Problems, value: Object, path: str) -> None:
    node = value.get("nodeAffinity") or {}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    if node.get(required) is not None:
        terms = node[required].get("nodeSelectorTerms") or ()
        if not terms:
            problems.required(
                f"{path}.nodeAffinity.{required}.nodeSelectorTerms", "must have at least one node selector term"
            )
        for at, term in enumerate(terms):
            _node_term(problems, term, f"{path}.nodeAffinity.{required}.nodeSelectorTerms[{at}]")
    for at, each in enumerate(node.get(preferred) or ()):
        here = f"{path}.nodeAffinity.{preferred}[{at}]"
        _weight(problems, each, here)
        _node_term(problems, each.get("preference") or {}, f"{here}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        side = value.get(kind) or {}
        for at, term in enumerate(side.get(required) or ()):
            _pod_term(problems, term, f"{path}.{kind}.{required}[{at}]")
        for at, each in enumerate(side.get(preferred) or ()):
            _weight(problems, each, f"{path}.{kind}.{preferred}[{at}]")
            _pod_term(problems, each.get("podAffinityTerm") or {}, f"{path}.{kind}.{preferred}[{at}].podAffinityTerm")


def _weight(problems: Problems, each: Object, path: str) -> None:
    if not 1 <= each.get("weight", 0) <= 100:
        problems.invalid(f"{path}.weight", each.get("weight", 0), "must be in the range 1-100")


def _node_term(problems: Problems, term: Object, path: str) -> None:
    for at, requirement in enumerate(term.get("matchExpressions") or ()):
        here, operator = f"{path}.matchExpressions[{at}]", requirement.get("operator", "")
        count = len(requirement.get("values") or ())
        if operator not in NODE_OPERATORS:
            problems.invalid(f"{here}.operator", operator, "not a valid selector operator")
        elif operator in ("In", "NotIn") and not count:
            problems.required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist") and count:
            problems.forbidden(f"{here}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        elif operator in ("Gt", "Lt") and count != 1:
            problems.required(f"{here}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        for message in names.qualified(requirement.get("key", "")):
            problems.invalid(f"{here}.key", requirement.get("key", ""), message)


def _pod_term(problems: Problems, term: Object, path: str) -> None:
    meta.selector(problems, term.get("labelSelector"), f"{path}.labelSelector")
    if not term.get("topologyKey"):
        problems.required(f"{path}.topologyKey", "can not be empty")
    else:
        for message in names.qualified(term["topologyKey"]):
            problems.invalid(f"{path}.topologyKey", term["topologyKey"], message)


def template(problems: Problems, value: Object | None, path: str) -> None:
    """A pod template: its labels, annotations and spec."""
    if not value:
        problems.required(path)
        return
    meta.common(problems, value.get("metadata") or {}, f"{path}.metadata")
    spec(problems, value.get("spec") or {}, f"{path}.spec")


def update(problems: Problems, obj: Object, old: Object) -> None:
    """A running pod's spec is fixed but for images, the deadline, added tolerations and scheduling gates."""
    new, was = obj.get("spec") or {}, old.get("spec") or {}
    if new is was or new == was:
        return
    for kind in ("containers", "initContainers"):
        for at, each in enumerate(new.get(kind) or ()):
            if not each.get("image"):
                problems.required(f"spec.{kind}[{at}].image")
    if len(new.get("containers") or ()) != len(was.get("containers") or ()):
        problems.forbidden("spec.containers", "pod updates may not add or remove containers")
        return
    if len(new.get("initContainers") or ()) != len(was.get("initContainers") or ()):
        problems.forbidden("spec.initContainers", "pod updates may not add or remove containers")
        return
    _deadline(problems, new, was)
    _tolerations_grow(problems, new, was)
    fixed, before = _fixed(new, was), was
    if fixed != before:
        problems.forbidden("spec", f"{UPDATE_MESSAGE}\n{difference(before, fixed)}")


def _deadline(problems: Problems, new: Object, was: Object) -> None:
    deadline, before = new.get("activeDeadlineSeconds"), was.get("activeDeadlineSeconds")
    if deadline is not None and not 0 <= deadline <= MAX_INT32:
        problems.invalid("spec.activeDeadlineSeconds", deadline, f"must be between 0 and {MAX_INT32}, inclusive")
    elif deadline is not None and before is not None and deadline > before:
        problems.invalid("spec.activeDeadlineSeconds", deadline, "must be less than or equal to previous value")
    elif deadline is None and before is not None:
        problems.invalid("spec.activeDeadlineSeconds", None, "must not update from a positive integer to nil value")


def _tolerations_grow(problems: Problems, new: Object, was: Object) -> None:
    now = new.get("tolerations") or []
    if any(_without_seconds(each) not in map(_without_seconds, now) for each in was.get("tolerations") or ()):
        problems.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def _without_seconds(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _fixed(new: Object, was: Object) -> Object:
    """`new` with everything that may change put back."""
    fixed = clone(new)
    for kind in ("containers", "initContainers"):
        for each, before in zip(fixed.get(kind) or (), was.get(kind) or (), strict=False):
            if "image" in before:
                each["image"] = before["image"]
    for field in ("activeDeadlineSeconds", "tolerations"):
        if field in was:
            fixed[field] = was[field]
        else:
            fixed.pop(field, None)
    gates = [each["name"] for each in was.get("schedulingGates") or ()]
    if all(each.get("name") in gates for each in fixed.get("schedulingGates") or ()) and "schedulingGates" in was:
        fixed["schedulingGates"] = was["schedulingGates"]
        if gates and new.get("nodeSelector") and (was.get("nodeSelector") or {}).items() <= new["nodeSelector"].items():
            fixed.pop("nodeSelector")
            fixed |= {"nodeSelector": was["nodeSelector"]} if "nodeSelector" in was else {}
    if was.get("terminationGracePeriodSeconds", 0) < 0 and fixed.get("terminationGracePeriodSeconds") == 1:
        fixed["terminationGracePeriodSeconds"] = was["terminationGracePeriodSeconds"]
    return fixed


def resize(problems: Problems, obj: Object, old: Object) -> None:
    """New resources are resources, and leave the pod in its class."""
    for kind in ("containers", "initContainers"):
        for at, each in enumerate(obj["spec"].get(kind) or ()):
            resources.requirements(problems, each.get("resources"), f"spec.{kind}[{at}].resources")
    was = qos_class(old)
    if qos_class(obj) != was:
        problems.invalid("spec", was, "Pod QOS Class may not change as a result of resizing")
