"""metrics.k8s.io/v1beta1: what pods and the node use, as the node last sampled it; read by `kubectl top` and the HPA."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import psutil

from kubesim.node import logs, status
from kubesim.resources import Object

if TYPE_CHECKING:
    from kubesim.api.virtual import Virtual
    from kubesim.node.kubelet import Node

API = "metrics.k8s.io/v1beta1"
_WINDOW = "5s"


def virtual(node: Node) -> Mapping[str, Virtual]:
    """The two kinds, by their storage names."""
    return {"pods.metrics.k8s.io": PodMetrics(node), "nodes.metrics.k8s.io": NodeMetrics(node)}


class PodMetrics:
    """One object per pod with a running container that has been sampled."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def list(self, namespace: str) -> Sequence[Object]:
        found = sorted(self.node.usage().items())
        return [self._one(place, name, used) for (place, name), used in found if namespace in ("", place)]

    def get(self, namespace: str, name: str) -> Object | None:
        used = self.node.usage().get((namespace, name))
        return self._one(namespace, name, used) if used else None

    def _one(self, namespace: str, name: str, used: Mapping[str, tuple[float, int]]) -> Object:
        pod = self.node.pods.get(namespace, name) or {"metadata": {}}
        body = _object("PodMetrics", name, pod["metadata"].get("labels"))
        body["metadata"]["namespace"] = namespace
        return body | {"containers": [{"name": one, "usage": _usage(*amounts)} for one, amounts in used.items()]}


class NodeMetrics:
    """The node: what its pods use together."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def list(self, namespace: str) -> Sequence[Object]:
        return [self._one()]

    def get(self, namespace: str, name: str) -> Object | None:
        return self._one() if name == self.node.options.name else None

    def _one(self) -> Object:
        amounts = [one for used in self.node.usage().values() for one in used.values()]
        memory = sum(bytes_ for _, bytes_ in amounts) or psutil.Process().memory_info().rss
        body = _object("NodeMetrics", self.node.options.name, {"kubernetes.io/hostname": self.node.options.name})
        return body | {"usage": _usage(sum(cpu for cpu, _ in amounts), memory)}


def _object(kind: str, name: str, labels: Mapping[str, str] | None) -> Object:
    now = status.seconds(logs.now())
    metadata: Object = {"name": name, "creationTimestamp": now}
    if labels:
        metadata["labels"] = dict(labels)
    return {"kind": kind, "apiVersion": API, "metadata": metadata, "timestamp": now, "window": _WINDOW}


def _usage(cpu: float, memory: int) -> dict[str, str]:
    return {"cpu": f"{math.ceil(cpu * 1e9)}n" if cpu else "0", "memory": f"{memory // 1024}Ki"}
