"""Defaults of Namespaces, Secrets, Nodes and LimitRanges."""

from __future__ import annotations

import base64

from kubesim.resources import Object

NAME_LABEL = "kubernetes.io/metadata.name"


def namespace(obj: Object) -> None:
    """A namespace is labelled with its name, so that selectors can find it."""
    metadata = obj["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})[NAME_LABEL] = metadata["name"]


def secret(obj: Object) -> None:
    """stringData is written into data; it is never kept."""
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        data |= {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
    obj.setdefault("type", "Opaque")


def node(obj: Object) -> None:
    status = obj.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def limit_range(obj: Object) -> None:
    """Per container: a default limit is the maximum, a default request the default limit, else the minimum."""
    for item in obj["spec"].get("limits") or ():
        if item.get("type") != "Container":
            continue
        limits, requests = dict(item.get("default") or {}), dict(item.get("defaultRequest") or {})
        for name, amount in (item.get("max") or {}).items():
            limits.setdefault(name, amount)
        for name, amount in limits.items():
            requests.setdefault(name, amount)
        for name, amount in (item.get("min") or {}).items():
            requests.setdefault(name, amount)
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests
