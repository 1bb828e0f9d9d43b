"""Quantities and resource requirements."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from kubesim import quantity
from kubesim.admission.validation import names
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
STANDARD = CONTAINER | {
    "storage",
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
}
INTEGERS = frozenset(
    {"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
)


@lru_cache(maxsize=4096)
def amount_of(text: str) -> Fraction:
    """A quantity's value; the same few come again and again."""
    return quantity.parse(text)


def not_negative(problems: Problems, path: str, value: object) -> bool:
    amount = amount_of(str(value))
    if amount < 0:
        problems.invalid(path, str(value), "must be greater than or equal to 0")
    return amount >= 0


def requirements(problems: Problems, value: Object | None, path: str) -> None:
    """A container's limits and requests: known names, not negative, requests within limits."""
    if not value:
        return
    limits, requests = value.get("limits") or {}, value.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            here = f"{path}.{kind}[{name}]"
            _container_name(problems, name, here)
            not_negative(problems, here, amount)
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if name.startswith("hugepages-"):
                problems.required(f"{path}.limits", f"Limit must be set for non overcommitable resources: {name}")
        elif _extended(name) and amount_of(amount) != amount_of(limit):
            problems.invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")
        elif amount_of(amount) > amount_of(limit):
            problems.invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}")


def _extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name


def _container_name(problems: Problems, name: str, path: str) -> None:
    found = names.qualified(name)
    for message in found:
        problems.invalid(path, name, message)
    if not found and "/" not in name:
        if name not in STANDARD and not name.startswith("hugepages-"):
            problems.invalid(path, name, "must be a standard resource type or fully qualified")
        elif name not in CONTAINER and not name.startswith("hugepages-"):
            problems.invalid(path, name, "must be a standard resource for containers")
