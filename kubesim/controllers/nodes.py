"""Nodes: taints that follow their conditions, Unknown when the kubelet falls silent, and eviction of what does not tolerate that.

A kubelet is silent when neither its Lease nor its node's status changed for 50 seconds of this process's own time; two clocks are never compared.
A node that never sent a heartbeat is believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from kubesim.controllers.clock import parse, stamp
from kubesim.controllers.filters import tolerates
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import LEASES, NODES, PODS
from kubesim.controllers.meta import condition, deleting, find_condition, is_finished, is_true
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object

LEASE_NAMESPACE = "kube-node-lease"
PERIOD = 5.0
GRACE = timedelta(seconds=50)
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
OURS = {UNSCHEDULABLE, NOT_READY, UNREACHABLE, *PRESSURES.values()}
KINDS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class Nodes(Controller):
    name = "node-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.nodes = self.on(NODES)
        self.leases = self.informer(LEASES)
        self.pods = self.informer(PODS)
        self._beats: dict[str, tuple[object, datetime]] = {}

    async def reconcile(self, key: Key) -> float | None:
        node = self.nodes.get(*key)
        if node is None or deleting(node):
            self._beats.pop(key.name, None)
            return None
        if self._is_silent(node):
            node = await self._lost(node)
        wanted = taints(node, stamp(self.clock.now()))
        if wanted != ((node.get("spec") or {}).get("taints") or []):
            change = {
                "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
                "spec": {"taints": wanted or None},
            }
            await self.cluster.patch(NODES, node, change)
        return PERIOD

    def _is_silent(self, node: Object) -> bool:
        lease = self.leases.get(LEASE_NAMESPACE, node["metadata"]["name"])
        ready = condition(node, "Ready") or {}
        beat = ((lease or {}).get("spec") or {}).get("renewTime"), ready.get("lastHeartbeatTime")
        if not any(beat):
            return False
        now = self.clock.now()
        seen, since = self._beats.get(node["metadata"]["name"], (None, now))
        if seen != beat:
            since = now
        self._beats[node["metadata"]["name"]] = (beat, since)
        return now - since > GRACE

    async def _lost(self, node: Object) -> Object:
        """The conditions become Unknown, and the node's pods not ready."""
        status = node.get("status") or {}
        if (condition(node, "Ready") or {}).get("status") == "Unknown":
            return node
        now = stamp(self.clock.now())
        conditions = [_unknown(c, now) if c["type"] in KINDS else c for c in status.get("conditions") or ()]
        self.recorder.event(
            NODES, node, "Normal", "NodeNotReady", f"Node {node['metadata']['name']} status is now: NodeNotReady"
        )
        node = await self.cluster.update_status(NODES, node, status | {"conditions": conditions})
        for pod in self.pods.items():
            if (
                pod["spec"].get("nodeName") == node["metadata"]["name"]
                and is_true(pod, "Ready")
                and not is_finished(pod)
            ):
                new = {"type": "Ready", "status": "False", "lastTransitionTime": now}
                await self.cluster.patch(
                    PODS, pod, {"status": {"conditions": [new]}}, kind="strategic", subresource="status"
                )
        return node


def _unknown(old: Object, now: str) -> Object:
    return old | {
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastTransitionTime": now,
    }


def taints(node: Object, now: str) -> list[Object]:
    """The node's taints with those that its conditions and `unschedulable` ask for; others stay."""
    spec = node.get("spec") or {}
    present: list[Object] = spec.get("taints") or []
    wanted = list(_wanted(node))
    names = {(t["key"], t["effect"]) for t in wanted}
    kept = [t for t in present if t["key"] not in OURS or (t["key"], t["effect"]) in names]
    have = {(t["key"], t["effect"]) for t in kept}
    return kept + [t | {"timeAdded": now} for t in wanted if (t["key"], t["effect"]) not in have]


def _wanted(node: Object) -> Iterable[Object]:
    conditions = (node.get("status") or {}).get("conditions") or ()
    if (node.get("spec") or {}).get("unschedulable"):
        yield {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    ready = find_condition(conditions, "Ready")
    key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(
        (ready or {}).get("status", "Unknown" if conditions else "False")
    )
    if key:
        yield {"key": key, "effect": "NoSchedule"}
        yield {"key": key, "effect": "NoExecute"}
    for kind, taint in PRESSURES.items():
        if (find_condition(conditions, kind) or {}).get("status") == "True":
            yield {"key": taint, "effect": "NoSchedule"}


class TaintEviction(Controller):
    """Deletes pods that do not tolerate a NoExecute taint of their node, after the time they say."""

    name = "taint-eviction-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.pods = self.informer(PODS)
        self.nodes = self.informer(NODES)
        self.nodes.on(self._node_changed)
        self.pods.on(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and new["spec"].get("nodeName") and (old is None or not old["spec"].get("nodeName")):
            node = self.nodes.get("", new["spec"]["nodeName"])
            if node is not None and _evicting(node):
                self.queue.add(key_of(new))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and _evicting(new) and (old is None or _evicting(old) != _evicting(new)):
            for pod in self.pods.items():
                if pod["spec"].get("nodeName") == new["metadata"]["name"]:
                    self.queue.add(key_of(pod))

    async def reconcile(self, key: Key) -> float | None:
        pod = self.pods.get(*key)
        node = self.nodes.get("", pod["spec"].get("nodeName", "")) if pod else None
        if pod is None or node is None or deleting(pod):
            return None
        left = seconds_to_eviction(pod, _evicting(node), self.clock.now())
        if left is None or left > 0:
            return left
        self.recorder.event(
            PODS, pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key.namespace}/{key.name}"
        )
        await self.cluster.delete(PODS, pod)
        return None


def _evicting(node: Object) -> list[Object]:
    return [t for t in (node.get("spec") or {}).get("taints") or () if t["effect"] == "NoExecute"]


def seconds_to_eviction(pod: Object, found: list[Object], now: datetime) -> float | None:
    """Until the first taint's toleration ends (0: now); None where all are tolerated for good."""
    waits = []
    for taint in found:
        if not tolerates(pod, taint):
            return 0.0
        limits = [
            t["tolerationSeconds"]
            for t in pod["spec"].get("tolerations") or ()
            if t.get("tolerationSeconds") is not None and tolerates({"spec": {"tolerations": [t]}}, taint)
        ]
        forever = any(
            t.get("tolerationSeconds") is None and tolerates({"spec": {"tolerations": [t]}}, taint)
            for t in pod["spec"].get("tolerations") or ()
        )
        if not forever:
            since = parse(taint["timeAdded"]) if taint.get("timeAdded") else now
            waits.append(max(0.0, (since + timedelta(seconds=min(limits)) - now).total_seconds()))
    return min(waits, default=None)
