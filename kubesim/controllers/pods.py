"""Pod garbage collection: pods nobody will ever run or finish again are removed.

Removed are pods bound to a node that no longer exists, deleted pods that were never scheduled, and the oldest finished pods beyond a threshold
(12,500, as in kube-controller-manager).
"""

from __future__ import annotations

from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import NODES, PODS
from kubesim.controllers.meta import created, deleting, is_finished
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object

THRESHOLD = 12_500
PERIOD = 20.0
SWEEP = Key("", "sweep")


class PodCollector(Controller):
    name = "pod-garbage-collector"
    workers = 1

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.pods = self.informer(PODS)
        self.nodes = self.informer(NODES)
        self._strays: set[str] = set()
        self.queue.add(SWEEP)

    async def reconcile(self, key: Key) -> float | None:
        pods = self.pods.items()
        for pod in doomed(pods, {node["metadata"]["name"] for node in self.nodes.items()}, self._strays):
            await self.cluster.delete(PODS, pod, grace_seconds=0)
        return PERIOD


def doomed(pods: list[Object], nodes: set[str], strays: set[str], *, threshold: int = THRESHOLD) -> list[Object]:
    """The pods to remove. A pod must have been without its node for one earlier sweep (`strays`, changed here) before it goes."""
    homeless = {p["metadata"]["uid"] for p in pods if p["spec"].get("nodeName") and p["spec"]["nodeName"] not in nodes}
    seen_before = homeless & strays
    strays.clear()
    strays.update(homeless)
    finished = sorted((p for p in pods if is_finished(p)), key=created)
    old = {p["metadata"]["uid"] for p in finished[: max(0, len(finished) - threshold)]}
    return [
        p for p in pods if p["metadata"]["uid"] in seen_before | old or (deleting(p) and not p["spec"].get("nodeName"))
    ]
