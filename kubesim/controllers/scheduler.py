"""The scheduler: give every pending pod a node, those of the highest priority first.

One pod at a time, in order of priority and age. A pod that fits nowhere gets condition PodScheduled=False and event FailedScheduling, may have
pods of lower priority deleted (see `preemption`), and is tried again when something changed that could help (a node, a pod's end, a volume), with
a growing delay, or after five minutes. A pod whose claims wait for a consumer first gets its node written onto them
(`volume.kubernetes.io/selected-node`) and is bound once they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from kubesim.controllers import filters, preemption
from kubesim.controllers.amounts import requests
from kubesim.controllers.clock import stamp
from kubesim.controllers.filters import NodeInfo, Pending
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES
from kubesim.controllers.meta import annotations_of, condition, deleting, is_finished
from kubesim.controllers.preemption import priority_of
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.errors import ApiError, Conflict, NotFound
from kubesim.resources import Object

log = logging.getLogger(__name__)

NAME = "default-scheduler"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
CYCLE = Key("", "cycle")
FLUSH_SECONDS = 300.0
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 10.0


class Scheduler(Controller):
    """All pods share one key: a cycle places one pod after another, so that priorities hold."""

    name = NAME
    workers = 1

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.recorder = cluster.recorder(NAME, modern=True)
        self.nodes = self.informer(NODES)
        self.pods = self.informer(PODS)
        self.claims = self.informer(CLAIMS)
        self.volumes = self.informer(VOLUMES)
        self.classes = self.informer(STORAGE_CLASSES)
        self._infos: dict[str, NodeInfo] = {}
        self._placed: dict[str, str] = {}
        self._ready: dict[str, Object] = {}
        self._parked: dict[str, bool] = {}
        self._fails: dict[str, int] = {}
        self._nominated: dict[str, tuple[str, Object]] = {}
        self.nodes.on(self._node_changed)
        self.pods.on(self._pod_changed)
        for informer in (self.claims, self.volumes, self.classes):
            informer.on(lambda old, new: self._retry_parked())

    # following the cluster

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._infos.pop((old or {})["metadata"]["name"], None)
            return
        name = new["metadata"]["name"]
        info = self._infos.get(name)
        if info is None:
            info = self._infos[name] = NodeInfo(new)
            for pod in self.pods.items():
                self._place(pod)
        changed = old is None or _offer(old) != _offer(new)
        info.node = new
        if changed:
            self._retry_parked()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        uid = (new or old or {})["metadata"]["uid"]
        if new is None or is_finished(new) or new["spec"].get("nodeName"):
            self._nominated.pop(uid, None)
        if new is None or is_finished(new):
            self._ready.pop(uid, None)
            self._fails.pop(uid, None)
            self._parked.pop(uid, None)
            if self._unplace(uid):
                self._retry_parked()
        elif new["spec"].get("nodeName"):
            self._ready.pop(uid, None)
            self._fails.pop(uid, None)
            self._place(new)
        elif new["spec"].get("schedulerName", NAME) == NAME and not deleting(new):
            self._wait(uid, old, new)

    def _wait(self, uid: str, old: Object | None, new: Object) -> None:
        """A pod to schedule: now, unless it was tried and nothing about what it asks for changed."""
        if uid in self._parked and old is not None and old["spec"] == new["spec"]:
            return
        self._parked.pop(uid, None)
        self._ready[uid] = new
        self.queue.add(CYCLE)

    def _place(self, pod: Object) -> None:
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName", "")
        if is_finished(pod) or node not in self._infos:
            return
        info = self._infos[node]
        info.requests[uid] = requests(pod)
        info.pods[uid] = pod
        self._placed[uid] = node

    def _unplace(self, uid: str) -> bool:
        info = self._infos.get(self._placed.pop(uid, ""))
        if info is None:
            return False
        info.pods.pop(uid, None)
        info.requests.pop(uid, None)
        return True

    def _retry_parked(self) -> None:
        for uid, refused in list(self._parked.items()):
            delay = min(FIRST_BACKOFF * 2.0 ** (self._fails.get(uid, 1) - 1), LONGEST_BACKOFF) if refused else 0.0
            self._parked.pop(uid)
            self.clock.call_later(delay, lambda uid=uid: self._unpark(uid))  # type: ignore[misc]

    def _unpark(self, uid: str) -> None:
        pod = next((p for p in self.pods.items() if p["metadata"]["uid"] == uid), None)
        if pod is not None and not pod["spec"].get("nodeName") and not deleting(pod) and not is_finished(pod):
            self._ready[uid] = pod
            self.queue.add(CYCLE)

    # the cycle

    async def reconcile(self, key: Key) -> float | None:
        while self._ready:
            uid = min(self._ready, key=lambda uid: _rank(self._ready[uid]))
            pod = self._ready.pop(uid)
            try:
                await self._schedule(pod)
            except (NotFound, Conflict):
                pass  # gone, or bound by somebody else
            except ApiError as error:
                self._park(pod)
                self.recorder.event(PODS, pod, "Warning", "FailedScheduling", error.message, action="Scheduling")
            except Exception:  # the outer layer of one pod's turn: the others must still get theirs
                log.exception("%s: %s", self.name, "/".join(key_of(pod)))
                self._park(pod)
        if not self._parked:
            return None
        return FLUSH_SECONDS

    async def _schedule(self, pod: Object) -> None:
        if pod["spec"].get("schedulingGates"):
            await self._note(pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
            return
        infos = [self._with_nominated(pod, info) for info in self._infos.values()]
        waiting, problem = self._volumes(pod)
        if problem:
            await self._reject(
                pod, filters.pod_failure_message(problem, len(infos)) if infos else filters.failure_message({})
            )
            return
        pending = Pending(pod, requests(pod), infos)
        refusals = {info.name: self._refusal(pending, info) for info in infos}
        candidates = [info for info in infos if not refusals[info.name]]
        if not candidates:
            await self._reject(pod, filters.failure_message(refusals, preempting=await self._preempt(pending)))
            return
        best = max(candidates, key=lambda info: filters.score(pending, info))
        if waiting:
            await self._select_node(waiting, best.name)
            self._parked[pod["metadata"]["uid"]] = False
        else:
            await self._bind(pod, best)

    def _refusal(self, pending: Pending, info: NodeInfo) -> list[str]:
        return filters.refusal(pending, info) or self._volume_conflict(pending.pod, info.node)

    async def _bind(self, pod: Object, info: NodeInfo) -> None:
        key = key_of(pod)
        target = {"apiVersion": "v1", "kind": "Node", "name": info.name}
        metadata = {"name": key.name, "namespace": key.namespace, "uid": pod["metadata"]["uid"]}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        await self.cluster.client.create(PODS, body, key.namespace, name=key.name, subresource="binding")
        self._place(pod | {"spec": pod["spec"] | {"nodeName": info.name}})
        message = f"Successfully assigned {key.namespace}/{key.name} to {info.name}"
        self.recorder.event(PODS, pod, "Normal", "Scheduled", message, action="Binding")

    async def _reject(self, pod: Object, message: str) -> None:
        self._park(pod)
        self.recorder.event(PODS, pod, "Warning", "FailedScheduling", message, action="Scheduling")
        await self._note(pod, "Unschedulable", message)

    def _park(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self._parked[uid] = True
        self._fails[uid] = self._fails.get(uid, 0) + 1
        self.clock.call_later(FLUSH_SECONDS, lambda: self._flush(uid))

    def _flush(self, uid: str) -> None:
        if self._parked.pop(uid, None):
            self._unpark(uid)

    async def _note(self, pod: Object, reason: str, message: str) -> None:
        """Condition PodScheduled=False, written only where it says something new."""
        found = condition(pod, "PodScheduled")
        if found is not None and (found["status"], found.get("reason"), found.get("message")) == (
            "False",
            reason,
            message,
        ):
            return
        new = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": (found or {}).get("lastTransitionTime") or stamp(self.clock.now()),
            "reason": reason,
            "message": message,
        }
        if reason == "Unschedulable" and "generation" in pod["metadata"]:
            new["observedGeneration"] = pod["metadata"]["generation"]
        change = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [new]}}
        await self.cluster.patch(PODS, pod, change, kind="strategic", subresource="status")

    # preemption

    def _with_nominated(self, pod: Object, info: NodeInfo) -> NodeInfo:
        """The node as it will be once pods that had room made for them are there, for pods that matter no more than those."""
        others = [
            other
            for uid, (node, other) in self._nominated.items()
            if node == info.name and uid != pod["metadata"]["uid"] and priority_of(other) >= priority_of(pod)
        ]
        if not others:
            return info
        uids = {other["metadata"]["uid"]: other for other in others}
        return NodeInfo(
            info.node, info.pods | uids, info.requests | {uid: requests(other) for uid, other in uids.items()}
        )

    async def _preempt(self, pending: Pending) -> bool:
        """Delete pods of lower priority where that lets this one run; whether room is being made."""
        pod, uid = pending.pod, pending.pod["metadata"]["uid"]
        node = self._nominated.get(uid, ("", pod))[0]
        making = self._infos.get(node)
        if making is not None and any(deleting(p) and priority_of(p) < priority_of(pod) for p in making.pods.values()):
            return True
        found = preemption.choose(pending, pending.nodes) if preemption.may_preempt(pod) else None
        if found is None:
            self._nominated.pop(uid, None)
            return False
        info, victims = found
        self._nominated[uid] = (info.name, pod)
        for victim in victims:
            message = f"Preempted by pod {uid} on node {info.name}"
            self.recorder.event(PODS, victim, "Normal", "Preempted", message, action="Preempting")
            await self._disrupt(victim)
        await self.cluster.patch(PODS, pod, {"status": {"nominatedNodeName": info.name}}, subresource="status")
        return True

    async def _disrupt(self, victim: Object) -> None:
        """Say why in the pod's conditions, then delete it."""
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{NAME}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": stamp(self.clock.now()),
        }
        try:
            await self.cluster.patch(
                PODS, victim, {"status": {"conditions": [target]}}, kind="strategic", subresource="status"
            )
            await self.cluster.delete(PODS, victim)
        except NotFound:
            pass

    # volumes

    def _volumes(self, pod: Object) -> tuple[list[Object], str]:
        """(claims that wait for a node, why the pod cannot run yet)."""
        waiting = []
        for name in claim_names(pod):
            claim = self.claims.get(pod["metadata"]["namespace"], name)
            if claim is None:
                return [], f'persistentvolumeclaim "{name}" not found'
            if deleting(claim):
                return [], f'persistentvolumeclaim "{name}" is being deleted'
            if (claim.get("status") or {}).get("phase") == "Lost":
                return (
                    [],
                    f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim["spec"].get("volumeName")}"',
                )
            if claim["spec"].get("volumeName") and "pv.kubernetes.io/bind-completed" in annotations_of(claim):
                continue
            if not self._waits_for_consumer(claim):
                return [], "pod has unbound immediate PersistentVolumeClaims"
            waiting.append(claim)
        return waiting, ""

    def _waits_for_consumer(self, claim: Object) -> bool:
        found = self.classes.get("", claim["spec"].get("storageClassName") or "")
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

    async def _select_node(self, claims: Iterable[Object], node: str) -> None:
        for claim in claims:
            if annotations_of(claim).get(SELECTED_NODE) != node:
                await self.cluster.patch(CLAIMS, claim, {"metadata": {"annotations": {SELECTED_NODE: node}}})

    def _volume_conflict(self, pod: Object, node: Object) -> list[str]:
        for name in claim_names(pod):
            claim = self.claims.get(pod["metadata"]["namespace"], name)
            volume = self.volumes.get("", claim["spec"].get("volumeName") or "") if claim else None
            required = ((volume or {}).get("spec", {}).get("nodeAffinity") or {}).get("required")
            if required is not None and not filters.matches_terms(required, node):
                return ["node(s) had volume node affinity conflict"]
        return []


def claim_names(pod: Object) -> list[str]:
    """The claims a pod mounts, generic ephemeral volumes' included."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found.append(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            found.append(f"{pod['metadata']['name']}-{volume['name']}")
    return found


def _rank(pod: Object) -> tuple[int, str, str]:
    return -(pod["spec"].get("priority") or 0), pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]


def _offer(node: Object) -> object:
    """What of a node decides where pods can go; its heartbeat does not."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return spec.get("taints"), spec.get("unschedulable"), node["metadata"].get("labels"), status.get("allocatable")
