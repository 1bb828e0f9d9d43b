"""Priority: a pod's priority class becomes a number."""

from __future__ import annotations

from typing import Any

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Reader
from kubesim.resources import Object

PODS = "v1/pods"
CLASSES = "scheduling.k8s.io/v1/priorityclasses"


def _system(name: str, value: int, description: str) -> Object:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": description,
        "preemptionPolicy": "PreemptLowerPriority",
    }


SYSTEM_CLASSES: tuple[Object, ...] = (
    _system(
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    _system(
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)
"""The classes every cluster has; whoever starts one makes them."""


class Priority(Plugin):
    kinds = (PODS, CLASSES)

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.creates(PODS):
            return
        spec: dict[str, Any] = request.body.setdefault("spec", {})
        chosen = _chosen(request, spec, reader)
        value = chosen.get("value", 0) if chosen else 0
        policy = (chosen or {}).get("preemptionPolicy") or "PreemptLowerPriority"
        given = spec.get("priority")
        if given is not None and given != value:
            raise request.forbid(
                f"the integer value of priority ({given}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
        if spec.get("preemptionPolicy") not in (None, policy):
            raise request.forbid(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if request.resource.key != CLASSES or request.operation not in ("CREATE", "UPDATE"):
            return
        if not request.body.get("globalDefault"):
            return
        default = _global_default(reader)
        if default is not None and default["metadata"]["name"] != request.name:
            other = default["metadata"]["name"]
            raise request.forbid(f"PriorityClass {other} is already marked as default. Only one default can exist")


def _chosen(request: AdmissionRequest, spec: dict[str, Any], reader: Reader) -> Object | None:
    name = spec.get("priorityClassName")
    if not name:
        default = _global_default(reader)
        if default is not None:
            spec["priorityClassName"] = default["metadata"]["name"]
        return default
    found = reader.get(CLASSES, "", name)
    if found is None:
        raise request.forbid(f"no PriorityClass with name {name} was found")
    return found


def _global_default(reader: Reader) -> Object | None:
    """Of several defaults the lowest, as Kubernetes takes it."""
    defaults = [one for one in reader.list(CLASSES) if one.get("globalDefault")]
    return min(defaults, key=lambda one: int(one.get("value", 0)), default=None)
