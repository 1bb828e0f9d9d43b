"""DaemonSets: one pod on every node that will have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubesim.controllers import filters, revisions
from kubesim.controllers.filters import NodeInfo, Pending
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import DAEMON_SETS, NODES, PODS, REVISIONS
from kubesim.controllers.meta import (
    controller_of,
    created,
    deleting,
    is_available,
    is_finished,
    is_ready,
    labels_of,
    without_zeros,
)
from kubesim.controllers.owners import claim, pod_from
from kubesim.controllers.revisions import POD_LABEL
from kubesim.controllers.rollout import percent
from kubesim.controllers.runtime import Cluster, Controller, is_terminating
from kubesim.errors import ApiError
from kubesim.resources import Object
from kubesim.selectors import from_label_selector

_EVICTING = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_PRESSURE = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
TOLERATIONS = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in _EVICTING] + [
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoSchedule"} for name in _PRESSURE
]


class DaemonSets(Controller):
    name = "daemonset-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.sets = self.on(DAEMON_SETS)
        self.pods = self.on(PODS, self._sets_of)
        self.nodes = self.informer(NODES)
        self.nodes.on(self._node_changed)
        self.informer(REVISIONS)

    def _sets_of(self, pod: Object) -> Iterable[Key]:
        owner = controller_of(pod)
        return [Key(pod["metadata"]["namespace"], owner["name"])] if owner and owner["kind"] == "DaemonSet" else []

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _place(old) != _place(new):
            for each in self.sets.items():
                self.queue.add(key_of(each))

    async def reconcile(self, key: Key) -> None:
        owner = self.sets.get(*key)
        if owner is None:
            return
        await claim(self.cluster, DAEMON_SETS, owner, PODS, from_label_selector(owner["spec"]["selector"]))
        revision = await revisions.current(self.cluster, DAEMON_SETS, owner)
        failure = None
        if not deleting(owner):
            try:
                await self._manage(owner, revision)
            except ApiError as error:
                failure = error
        owner = self.sets.get(*key) or owner
        await self.cluster.update_status(DAEMON_SETS, owner, self._status(owner, revision))
        live = {labels_of(p).get(POD_LABEL, "") for p in self._pods(owner)} | {revision["metadata"]["name"]}
        await revisions.trim(self.cluster, owner, live)
        if failure is not None:
            raise failure

    def _pods(self, owner: Object) -> list[Object]:
        return self.pods.controlled(owner["metadata"]["uid"])

    def _by_node(self, owner: Object) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for pod in sorted(self._pods(owner), key=created):
            found.setdefault(target_node(pod), []).append(pod)
        return found

    async def _manage(self, owner: Object, revision: Object) -> None:
        by_node = self._by_node(owner)
        wanted = {n["metadata"]["name"] for n in self.nodes.items() if runs_on(owner, n)}
        for name in sorted(wanted - by_node.keys()):
            await self._create(owner, revision, name)
        for name, pods in by_node.items():
            ended = [p for p in pods if is_finished(p) and not deleting(p)]
            spare = [p for p in pods if p not in ended][1:] if name in wanted else pods
            for pod in [*ended, *(p for p in spare if not deleting(p))]:
                await self._delete(owner, pod)
        if (owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate":
            await self._roll(owner, revision, [p for name in wanted for p in by_node.get(name, [])], len(wanted))

    async def _roll(self, owner: Object, revision: Object, pods: Sequence[Object], wanted: int) -> None:
        """Replace old pods, as many at once as maxUnavailable allows; those that do not run anyway cost nothing."""
        rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        limit = max(1, percent(rolling.get("maxUnavailable", 1), wanted, up=True))
        minimum, now = owner["spec"].get("minReadySeconds", 0), self.clock.now()
        healthy = [p for p in pods if is_available(p, minimum, now) and not deleting(p)]
        budget = limit - (wanted - len(healthy))
        name = revision["metadata"]["name"]
        for pod in [p for p in pods if labels_of(p).get(POD_LABEL) != name and not deleting(p)]:
            if pod not in healthy:
                await self._delete(owner, pod)
            elif budget > 0:
                budget -= 1
                await self._delete(owner, pod)

    async def _create(self, owner: Object, revision: Object, node: str) -> None:
        body = new_pod(owner, revision, node)
        try:
            pod = await self.cluster.create(PODS, body, owner["metadata"]["namespace"])
        except ApiError as error:
            if not is_terminating(error):
                self.recorder.event(DAEMON_SETS, owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.recorder.event(DAEMON_SETS, owner, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    async def _delete(self, owner: Object, pod: Object) -> None:
        if await self.cluster.delete(PODS, pod):
            self.recorder.event(
                DAEMON_SETS, owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}"
            )

    def _status(self, owner: Object, revision: Object) -> Object:
        by_node = self._by_node(owner)
        wanted = {n["metadata"]["name"] for n in self.nodes.items() if runs_on(owner, n)}
        first = [pods[0] for name, pods in by_node.items() if name in wanted]
        minimum, now = owner["spec"].get("minReadySeconds", 0), self.clock.now()
        available = sum(is_available(p, minimum, now) for p in first)
        status = {
            "observedGeneration": owner["metadata"].get("generation", 0),
            "currentNumberScheduled": len(first),
            "desiredNumberScheduled": len(wanted),
            "numberMisscheduled": sum(name not in wanted for name in by_node),
            "numberReady": sum(map(is_ready, first)),
            "updatedNumberScheduled": sum(labels_of(p).get(POD_LABEL) == revision["metadata"]["name"] for p in first),
            "numberAvailable": available,
            "numberUnavailable": len(wanted) - available,
        }
        kept = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
        return without_zeros(status, keep=kept)


def new_pod(owner: Object, revision: Object, node: str) -> Object:
    """A pod that only `node` will do for; the scheduler binds it."""
    pod = pod_from(revisions.template_of(revision), DAEMON_SETS, owner)
    metadata = pod["metadata"]
    metadata["labels"] = (metadata.get("labels") or {}) | {POD_LABEL: revision["metadata"]["name"]}
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = dict(pod["spec"].get("affinity") or {})
    affinity["nodeAffinity"] = (affinity.get("nodeAffinity") or {}) | {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}
    }
    tolerations = [*(pod["spec"].get("tolerations") or ()), *TOLERATIONS]
    return pod | {"spec": pod["spec"] | {"affinity": affinity, "tolerations": tolerations}}


def target_node(pod: Object) -> str:
    """The node a daemon pod is on or meant for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name":
                return str(field["values"][0])
    return ""


def runs_on(owner: Object, node: Object) -> bool:
    """Whether the set wants a pod on this node: its selector, affinity and tolerations, not what is free there."""
    template = owner["spec"]["template"]
    spec = template["spec"] | {"tolerations": [*(template["spec"].get("tolerations") or ()), *TOLERATIONS]}
    pod = {"metadata": {"namespace": owner["metadata"]["namespace"]}, "spec": spec}
    info = NodeInfo(node)
    pending = Pending(pod, {}, [info])
    return not (filters.affinity(pending, info) or filters.taints(pending, info))


def _place(node: Object) -> object:
    spec = node.get("spec") or {}
    return spec.get("taints"), spec.get("unschedulable"), labels_of(node)
