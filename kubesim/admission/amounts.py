"""Amounts of resources by name, and what a pod as a whole asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, Literal, NamedTuple, TypeAlias

from kubesim import quantity
from kubesim.resources import Object

NANO = 10**9


class Amount(NamedTuple):
    """A number in billionths, the finest Kubernetes knows (an integer, because sums of fractions are slow), and how it is written."""

    value: int
    like: str = "0"
    """A text in whose family of suffixes the amount is written."""

    def __str__(self) -> str:
        return quantity.format(Fraction(self.value, NANO), self.like)


Amounts: TypeAlias = dict[str, Amount]


@lru_cache(maxsize=4096)
def _parse(text: str) -> Amount:
    return Amount(ceil(quantity.parse(text) * NANO), text)


def amounts(texts: Mapping[str, Any] | None) -> Amounts:
    """A ResourceList, read. What is no quantity is left out: validation says so elsewhere."""
    return {name: _parse(str(text)) for name, text in (texts or {}).items() if quantity.valid(text)}


def count(number: int) -> Amount:
    return Amount(number * NANO, str(number))


def total(many: Iterable[Mapping[str, Amount]], names: Collection[str] | None = None) -> Amounts:
    """The sums by name, of `names` only where they are given; a sum is written as its first part that is not zero."""
    sums: dict[str, int] = {}
    likes: dict[str, str] = {}
    for one in many:
        for name in one if names is None else names:
            amount = one.get(name)
            if amount is None:
                continue
            before = sums.get(name, 0)
            if not before:
                likes[name] = amount.like
            sums[name] = before + amount.value
    return {name: Amount(value, likes[name]) for name, value in sums.items()}


def largest(many: Iterable[Mapping[str, Amount]]) -> Amounts:
    result: Amounts = {}
    for one in many:
        for name, amount in one.items():
            if name not in result or amount.value > result[name].value:
                result[name] = amount
    return result


def pod_amounts(pod: Object, which: Literal["requests", "limits"]) -> Amounts:
    """What the pod asks for at most at any moment: its containers and sidecars together, or an init container beside the sidecars before it.

    Resources set on the pod itself count instead of the containers' sum; overhead is added.
    """
    spec = pod.get("spec") or {}
    sidecars: list[Amounts] = []
    peaks: list[Amounts] = []
    for container in spec.get("initContainers") or ():
        own = container_amounts(container, which)
        if container.get("restartPolicy") == "Always":
            sidecars.append(own)
            peaks.append(total(sidecars))
        else:
            peaks.append(total([*sidecars, own]))
    running = total([*(container_amounts(one, which) for one in spec.get("containers") or ()), *sidecars])
    own = largest([running, *peaks]) | container_amounts(spec, which)
    overhead = amounts(spec.get("overhead"))
    return total([own, overhead if which == "requests" else {name: overhead[name] for name in overhead if name in own}])


def container_amounts(container: Mapping[str, Any], which: Literal["requests", "limits"]) -> Amounts:
    return amounts((container.get("resources") or {}).get(which))


def listed(named: Mapping[str, Amount], names: Sequence[str]) -> str:
    """`cpu=1,memory=3Gi`"""
    return ",".join(f"{name}={named[name]}" for name in sorted(names))


def qos_class(pod: Object) -> str:
    """Guaranteed where every container's limits are set and its requests are them, BestEffort where nothing is set, else Burstable."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    requests = [_compute(container, "requests") for container in containers]
    limits = [_compute(container, "limits") for container in containers]
    if not any(requests) and not any(limits):
        return "BestEffort"
    guaranteed = all(
        len(have) == 2 and (not asked or asked == have) for asked, have in zip(requests, limits, strict=True)
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(container: Object, which: Any) -> dict[str, object]:
    found = container_amounts(container, which)
    return {name: amount.value for name, amount in found.items() if name in ("cpu", "memory") and amount.value}
