"""StatefulSets: pods with a name, a host name and claims of their own.

OrderedReady makes one change at a time, in order, and waits until the pod before is ready; Parallel does not wait when scaling. An update goes
from the highest ordinal down to the partition, one pod at a time, for both. Pods below the partition keep (and get again) the old revision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubesim.controllers import revisions
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import CLAIMS, PODS, REVISIONS, STATEFUL_SETS, owner_reference
from kubesim.controllers.meta import (
    controller_of,
    deleting,
    is_available,
    is_finished,
    is_ready,
    labels_of,
    phase,
    seconds_until_available,
    without_zeros,
)
from kubesim.controllers.owners import claim, pod_from
from kubesim.controllers.revisions import POD_LABEL
from kubesim.controllers.rollout import replicas_of
from kubesim.controllers.runtime import Cluster, Controller, is_terminating
from kubesim.errors import AlreadyExists, ApiError
from kubesim.resources import Object
from kubesim.selectors import from_label_selector

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True)
class Plan:
    """A set, and the revisions its pods are made of."""

    owner: Object
    current: Object
    update: Object

    @property
    def start(self) -> int:
        return int((self.owner["spec"].get("ordinals") or {}).get("start", 0))

    @property
    def ordinals(self) -> range:
        return range(self.start, self.start + replicas_of(self.owner))

    @property
    def ordered(self) -> bool:
        return bool(self.owner["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    @property
    def rolling(self) -> bool:
        return bool((self.owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")

    @property
    def partition(self) -> int:
        rolling = (self.owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        return int(rolling.get("partition") or 0)

    def revision_for(self, ordinal: int) -> Object:
        """The revision a new pod is made of."""
        return self.current if self.rolling and ordinal < self.start + self.partition else self.update


class StatefulSets(Controller):
    name = "statefulset-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.sets = self.on(STATEFUL_SETS)
        self.pods = self.on(PODS, self._sets_of)
        self.claims = self.informer(CLAIMS)
        self.informer(REVISIONS)

    def _sets_of(self, pod: Object) -> Iterable[Key]:
        owner = controller_of(pod)
        namespace = pod["metadata"]["namespace"]
        if owner is not None:
            return [Key(namespace, owner["name"])] if owner["kind"] == "StatefulSet" else []
        found = self.sets.items(namespace) if labels_of(pod) else ()
        return [key_of(s) for s in found if from_label_selector(s["spec"]["selector"]).matches(labels_of(pod))]

    async def reconcile(self, key: Key) -> float | None:
        owner = self.sets.get(*key)
        if owner is None:
            return None
        selector = from_label_selector(owner["spec"]["selector"])
        if selector.empty:
            return None
        await claim(self.cluster, STATEFUL_SETS, owner, PODS, selector)
        plan = await self._plan(owner)
        failure = None
        try:
            if not deleting(owner):
                await self._step(plan)
        except ApiError as error:
            failure = error
        owner = self.sets.get(*key) or owner
        status = new_status(Plan(owner, plan.current, plan.update), self._pods(owner), self.clock.now())
        await self.cluster.update_status(STATEFUL_SETS, owner, status)
        await revisions.trim(self.cluster, owner, self._live(plan))
        if failure is not None:
            raise failure
        return seconds_until_available(self._pods(owner), owner["spec"].get("minReadySeconds", 0), self.clock)

    def _live(self, plan: Plan) -> set[str]:
        named = {labels_of(pod).get(POD_LABEL, "") for pod in self._pods(plan.owner)}
        return named | {plan.current["metadata"]["name"], plan.update["metadata"]["name"]}

    def _pods(self, owner: Object) -> list[Object]:
        return [p for p in self.pods.controlled(owner["metadata"]["uid"]) if ordinal_of(owner, p) is not None]

    async def _plan(self, owner: Object) -> Plan:
        update = await revisions.current(self.cluster, STATEFUL_SETS, owner)
        name = (owner.get("status") or {}).get("currentRevision")
        known = revisions.owned(self.cluster, owner)
        return Plan(owner, next((r for r in known if r["metadata"]["name"] == name), update), update)

    # one step

    async def _step(self, plan: Plan) -> None:
        """Scale up in order, scale down in reverse, then update from the top: the first that has something to do does it."""
        pods = {ordinal_of(plan.owner, pod): pod for pod in self._pods(plan.owner)}
        for ordinal in plan.ordinals:
            if not await self._replica(plan, ordinal, pods.get(ordinal)) and plan.ordered:
                return
        condemned = sorted((o for o in pods if o is not None and o not in plan.ordinals), reverse=True)
        if await self._condemn(plan, [pods[o] for o in condemned], list(pods.values())):
            return
        if plan.rolling:
            await self._update(plan, pods)

    async def _replica(self, plan: Plan, ordinal: int, pod: Object | None) -> bool:
        """See to one pod; whether it is there and well, so that the next may follow."""
        if pod is not None and is_finished(pod) and not deleting(pod):
            word = "Failed" if phase(pod) == "Failed" else "Terminated"
            kind, name = plan.owner["metadata"], pod["metadata"]["name"]
            message = f"StatefulSet {kind['namespace']}/{kind['name']} is recreating {word.lower()} Pod {name}"
            self.recorder.event(STATEFUL_SETS, plan.owner, "Warning", f"Recreating{word}Pod", message)
            await self.cluster.delete(PODS, pod)
            return False
        if pod is None:
            await self._create(plan, ordinal)
            return False
        await self._ensure_claims(plan, ordinal)
        minimum = plan.owner["spec"].get("minReadySeconds", 0)
        return not deleting(pod) and is_available(pod, minimum, self.clock.now())

    async def _create(self, plan: Plan, ordinal: int) -> None:
        await self._ensure_claims(plan, ordinal)
        pod = new_pod(plan.owner, plan.revision_for(ordinal), ordinal)
        await self._report(
            "create", pod["metadata"]["name"], plan.owner, self.cluster.create(PODS, pod, pod["metadata"]["namespace"])
        )

    async def _condemn(self, plan: Plan, condemned: Sequence[Object], everyone: Sequence[Object]) -> bool:
        """Delete pods beyond the wanted ordinals; whether this took the turn."""
        for pod in condemned:
            if deleting(pod):
                if plan.ordered:
                    return True
                continue
            sick = [p for p in everyone if p is not pod and not is_ready(p) and not is_finished(p)]
            if plan.ordered and sick and is_ready(pod):
                return True
            await self._release_claims(plan, pod)
            await self._report("delete", pod["metadata"]["name"], plan.owner, self.cluster.delete(PODS, pod))
            if plan.ordered:
                return True
        return False

    async def _update(self, plan: Plan, pods: dict[int | None, Object]) -> None:
        wanted = plan.update["metadata"]["name"]
        for ordinal in reversed([o for o in plan.ordinals if o >= plan.start + plan.partition]):
            pod = pods.get(ordinal)
            if pod is None:
                return
            if labels_of(pod).get(POD_LABEL) != wanted and not deleting(pod):
                await self._report("delete", pod["metadata"]["name"], plan.owner, self.cluster.delete(PODS, pod))
                return
            if deleting(pod) or not is_available(pod, plan.owner["spec"].get("minReadySeconds", 0), self.clock.now()):
                return

    async def _report(self, verb: str, pod: str, owner: Object, write: Awaitable[object]) -> None:
        """Do a write and say in an event how it went."""
        name = owner["metadata"]["name"]
        try:
            await write
        except AlreadyExists:
            raise
        except ApiError as error:
            if not is_terminating(error):
                message = f"{verb} Pod {pod} in StatefulSet {name} failed error: {error.message}"
                self.recorder.event(STATEFUL_SETS, owner, "Warning", f"Failed{verb.title()}", message)
            raise
        message = f"{verb} Pod {pod} in StatefulSet {name} successful"
        self.recorder.event(STATEFUL_SETS, owner, "Normal", f"Successful{verb.title()}", message)

    # claims

    async def _ensure_claims(self, plan: Plan, ordinal: int) -> None:
        owner = plan.owner
        pod = f"{owner['metadata']['name']}-{ordinal}"
        for wanted in new_claims(owner, ordinal):
            name = wanted["metadata"]["name"]
            found = self.claims.get(owner["metadata"]["namespace"], name)
            if found is None:
                try:
                    await self.cluster.create(CLAIMS, wanted, owner["metadata"]["namespace"])
                except AlreadyExists:
                    continue
                message = f"create Claim {name} Pod {pod} in StatefulSet {owner['metadata']['name']} success"
                self.recorder.event(STATEFUL_SETS, owner, "Normal", "SuccessfulCreate", message)

    async def _release_claims(self, plan: Plan, pod: Object) -> None:
        """With whenScaled Delete, the claims of a pod that is scaled away follow it."""
        policy = plan.owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        ordinal = ordinal_of(plan.owner, pod)
        if policy.get("whenScaled") != "Delete" or ordinal is None:
            return
        for wanted in new_claims(plan.owner, ordinal):
            found = self.claims.get(pod["metadata"]["namespace"], wanted["metadata"]["name"])
            if found is not None:
                reference = owner_reference(PODS, pod) | {"controller": False, "blockOwnerDeletion": False}
                await self.cluster.patch(CLAIMS, found, {"metadata": {"ownerReferences": [reference]}})


def ordinal_of(owner: Object, pod: Object) -> int | None:
    """The number at the end of the pod's name, where the rest is the set's."""
    parent, _, number = pod["metadata"]["name"].rpartition("-")
    return int(number) if parent == owner["metadata"]["name"] and number.isdigit() else None


def claim_name(template: Object, owner: Object, ordinal: int) -> str:
    return f"{template['metadata']['name']}-{owner['metadata']['name']}-{ordinal}"


def new_claims(owner: Object, ordinal: int) -> list[Object]:
    """The claims of one pod, from volumeClaimTemplates."""
    policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    owners = [owner_reference(STATEFUL_SETS, owner)] if policy.get("whenDeleted") == "Delete" else None
    found = []
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        labels = (template["metadata"].get("labels") or {}) | (owner["spec"]["selector"].get("matchLabels") or {})
        metadata = {
            "name": claim_name(template, owner, ordinal),
            "namespace": owner["metadata"]["namespace"],
            "labels": labels,
        }
        if template["metadata"].get("annotations"):
            metadata["annotations"] = template["metadata"]["annotations"]
        if owners:
            metadata["ownerReferences"] = owners
        found.append({"metadata": metadata, "spec": template["spec"]})
    return found


def new_pod(owner: Object, revision: Object, ordinal: int) -> Object:
    """The pod of one ordinal: its name, host name, labels and claims are its own for good."""
    pod = pod_from(revisions.template_of(revision), STATEFUL_SETS, owner)
    name = f"{owner['metadata']['name']}-{ordinal}"
    own = {POD_NAME: name, POD_INDEX: str(ordinal), POD_LABEL: revision["metadata"]["name"]}
    metadata = pod["metadata"] | {"name": name, "namespace": owner["metadata"]["namespace"]}
    metadata["labels"] = (metadata.get("labels") or {}) | own
    claims = {
        template["metadata"]["name"]: {"persistentVolumeClaim": {"claimName": claim_name(template, owner, ordinal)}}
        for template in owner["spec"].get("volumeClaimTemplates") or ()
    }
    volumes = [{"name": volume} | source for volume, source in claims.items()]
    volumes += [v for v in pod["spec"].get("volumes") or () if v["name"] not in claims]
    spec = pod["spec"] | {"hostname": name, "subdomain": owner["spec"].get("serviceName", "")}
    return {"metadata": metadata, "spec": spec | ({"volumes": volumes} if volumes else {})}


def new_status(plan: Plan, pods: Sequence[Object], now: datetime) -> Object:
    """The status; when every pod is of the update revision and ready, that becomes the current one."""
    current, update = plan.current["metadata"]["name"], plan.update["metadata"]["name"]
    minimum = plan.owner["spec"].get("minReadySeconds", 0)
    alive = [pod for pod in pods if not deleting(pod)]
    status: Object = {
        "observedGeneration": plan.owner["metadata"].get("generation", 0),
        "replicas": len([p for p in pods if not is_finished(p)]),
        "readyReplicas": sum(is_ready(p) and not deleting(p) for p in pods),
        "currentReplicas": sum(labels_of(p).get(POD_LABEL) == current for p in alive),
        "updatedReplicas": sum(labels_of(p).get(POD_LABEL) == update for p in alive),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": (plan.owner.get("status") or {}).get("collisionCount") or 0,
        "availableReplicas": sum(is_available(p, minimum, now) for p in alive),
    }
    if (
        plan.rolling
        and replicas_of(plan.owner) == status["updatedReplicas"] == status["readyReplicas"] == status["replicas"]
    ):
        status |= {"currentRevision": update, "currentReplicas": status["updatedReplicas"]}
    return without_zeros(status, keep=("replicas", "collisionCount", "availableReplicas"))
