"""What a pod asks of a node, in whole units: millicores, bytes, counts. Pure.

A pod's request is the larger of (all containers and sidecars together) and (any init container with the sidecars started before it), plus its
overhead, as Kubernetes counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import ceil

from kubesim import quantity
from kubesim.resources import Object

Amounts = dict[str, int]


@lru_cache(maxsize=4096)
def amount(resource: str, text: str) -> int:
    """A quantity as the scheduler counts it: cpu in thousandths, everything else in units; rounded up."""
    value = quantity.parse(text)
    return ceil(value * 1000) if resource == "cpu" else ceil(value)


def amounts(found: Mapping[str, object] | None) -> Amounts:
    return {name: amount(name, str(text)) for name, text in (found or {}).items()}


def add(*parts: Mapping[str, int]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total


def largest(*parts: Mapping[str, int]) -> Amounts:
    names = {name for part in parts for name in part}
    return {name: max(part.get(name, 0) for part in parts) for name in names}


def requests(pod: Object) -> Amounts:
    """What the pod asks for."""
    spec = pod["spec"]
    running: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _of(container)
        if container.get("restartPolicy") == "Always":
            running = add(running, own)
            peak = largest(peak, running)
        else:
            peak = largest(peak, add(running, own))
    everything = add(running, *(_of(c) for c in spec["containers"]))
    total = largest(everything, peak)
    pod_level = amounts((spec.get("resources") or {}).get("requests"))
    return add(total | pod_level, amounts(spec.get("overhead")))


def _of(container: Object) -> Amounts:
    return amounts((container.get("resources") or {}).get("requests"))


def free(allocatable: Mapping[str, int], used: Iterable[Mapping[str, int]]) -> Amounts:
    """What is left of a node."""
    total = add(*used)
    return {name: value - total.get(name, 0) for name, value in allocatable.items()}
