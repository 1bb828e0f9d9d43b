"""ReplicaSets, and the ReplicationControllers they descend from: keep the wanted number of pods.

Pods are made in batches that double (1, 2, 4, ...), so that a template the API refuses costs one request, not five hundred; the refusal becomes
condition ReplicaFailure and event FailedCreate. Surplus pods go in Kubernetes's order: unscheduled, not ready, cheapest by
pod-deletion-cost, most crowded node, youngest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import log2

from kubesim.controllers.clock import stamp
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from kubesim.controllers.meta import (
    annotations_of,
    controller_of,
    created,
    deleting,
    find_condition,
    is_active,
    is_available,
    is_finished,
    is_ready,
    labels_of,
    phase,
    ready_since,
    seconds_until_available,
    without_zeros,
)
from kubesim.controllers.owners import claim, pod_from
from kubesim.controllers.runtime import Cluster, Controller, is_terminating
from kubesim.errors import ApiError
from kubesim.resources import Object
from kubesim.selectors import LabelSelector, from_label_selector

BURST = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSets(Controller):
    """`resource` and `kind` are what is reconciled; a subclass may find its pods in another way."""

    name = "replicaset-controller"
    resource = REPLICA_SETS
    kind = "ReplicaSet"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.sets = self.on(self.resource)
        self.pods = self.on(PODS, self._sets_of)

    def selector(self, replicas: Object) -> LabelSelector:
        return from_label_selector(replicas["spec"]["selector"])

    def status(self, replicas: Object, pods: Sequence[Object], failure: ApiError | None) -> Object:
        return new_status(replicas, pods, failure, self.clock.now())

    def _sets_of(self, pod: Object) -> Iterable[Key]:
        owner = controller_of(pod)
        if owner is not None:
            return [Key(pod["metadata"]["namespace"], owner["name"])] if owner["kind"] == self.kind else []
        if not labels_of(pod):
            return []
        found = self.sets.items(pod["metadata"]["namespace"])
        return [key_of(each) for each in found if self.selector(each).matches(labels_of(pod))]

    async def reconcile(self, key: Key) -> float | None:
        replicas = self.sets.get(*key)
        if replicas is None:
            return None
        await claim(self.cluster, self.resource, replicas, PODS, self.selector(replicas))
        failure = None if deleting(replicas) else await self._manage(replicas, self._active(replicas))
        replicas = self.sets.get(*key) or replicas
        pods = self.pods.controlled(replicas["metadata"]["uid"])
        await self.cluster.update_status(self.resource, replicas, self.status(replicas, pods, failure))
        if failure is not None:
            raise failure
        return seconds_until_available(pods, replicas["spec"].get("minReadySeconds", 0), self.clock)

    def _active(self, replicas: Object) -> list[Object]:
        return [pod for pod in self.pods.controlled(replicas["metadata"]["uid"]) if is_active(pod)]

    async def _manage(self, replicas: Object, pods: Sequence[Object]) -> ApiError | None:
        """Create or delete towards spec.replicas; the refusal that stopped it, if any."""
        missing = replicas["spec"].get("replicas", 1) - len(pods)
        if missing > 0:
            return await self._create(replicas, min(missing, BURST))
        if missing < 0:
            await self._shrink(replicas, surplus(pods, -missing))
        return None

    async def _create(self, replicas: Object, count: int) -> ApiError | None:
        batch = 1
        while count > 0:
            batch = min(batch, count)
            answers = await asyncio.gather(*(self._create_pod(replicas) for _ in range(batch)))
            failure = next((answer for answer in answers if answer is not None), None)
            if failure is not None:
                return failure
            count, batch = count - batch, batch * 2
        return None

    async def _create_pod(self, replicas: Object) -> ApiError | None:
        body = pod_from(replicas["spec"]["template"], self.resource, replicas)
        try:
            pod = await self.cluster.create(PODS, body, replicas["metadata"]["namespace"])
        except ApiError as error:
            if not is_terminating(error):
                self.recorder.event(
                    self.resource, replicas, "Warning", "FailedCreate", f"Error creating: {error.message}"
                )
            return error
        self.recorder.event(
            self.resource, replicas, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"
        )
        return None

    async def _shrink(self, replicas: Object, victims: Iterable[Object]) -> None:
        for pod in victims:
            if await self.cluster.delete(PODS, pod):
                message = f"Deleted pod: {pod['metadata']['name']}"
                self.recorder.event(self.resource, replicas, "Normal", "SuccessfulDelete", message)


class ReplicationControllers(ReplicaSets):
    """Their selector is a map of labels, and what is terminating is not counted."""

    name = "replication-controller"
    resource = REPLICATION_CONTROLLERS
    kind = "ReplicationController"

    def selector(self, replicas: Object) -> LabelSelector:
        return from_label_selector({"matchLabels": replicas["spec"]["selector"]})

    def status(self, replicas: Object, pods: Sequence[Object], failure: ApiError | None) -> Object:
        found = super().status(replicas, pods, failure)
        return {key: value for key, value in found.items() if key != "terminatingReplicas"}


def surplus(pods: Sequence[Object], count: int) -> list[Object]:
    """The `count` pods to delete first."""
    crowd = Counter(pod["spec"].get("nodeName", "") for pod in pods)
    return sorted(pods, key=lambda pod: _rank(pod, crowd))[:count]


def _rank(pod: Object, crowd: Counter[str]) -> tuple[float, ...]:
    node = pod["spec"].get("nodeName", "")
    since = ready_since(pod)
    order = {"Pending": 0, "Unknown": 1, "Running": 2}
    return (
        bool(node),
        order.get(phase(pod) or "Pending", 2),
        is_ready(pod),
        _cost(pod),
        -crowd[node],
        -_bucket(since) if since else 0,
        -max((c.get("restartCount", 0) for c in (pod.get("status") or {}).get("containerStatuses") or ()), default=0),
        -created(pod).timestamp(),
    )


def _cost(pod: Object) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _bucket(moment: datetime) -> float:
    """Readiness times on a logarithmic scale, so that pods of about the same age count as equally old."""
    return int(log2(max(moment.timestamp(), 1)))


def new_status(replicas: Object, pods: Sequence[Object], failure: ApiError | None, now: datetime) -> Object:
    """The status for these pods. Zero counts are left out as Go's omitempty does, except `replicas` and `terminatingReplicas`."""
    active = [pod for pod in pods if is_active(pod)]
    template = from_label_selector(
        {"matchLabels": (replicas["spec"]["template"].get("metadata") or {}).get("labels") or {}}
    )
    minimum = replicas["spec"].get("minReadySeconds", 0)
    status = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template.matches(labels_of(pod)) for pod in active),
        "readyReplicas": sum(map(is_ready, active)),
        "availableReplicas": sum(is_available(pod, minimum, now) for pod in active),
        "terminatingReplicas": sum(deleting(pod) and not is_finished(pod) for pod in pods),
        "observedGeneration": replicas["metadata"].get("generation", 0),
        "conditions": _conditions(replicas, failure, now),
    }
    return without_zeros(status, keep=("replicas", "terminatingReplicas"))


def _conditions(replicas: Object, failure: ApiError | None, now: datetime) -> list[Object]:
    conditions: list[Object] = (replicas.get("status") or {}).get("conditions") or []
    if failure is None or is_terminating(failure):
        return [c for c in conditions if c["type"] != "ReplicaFailure"]
    if find_condition(conditions, "ReplicaFailure"):
        return conditions
    return [
        *conditions,
        {
            "type": "ReplicaFailure",
            "status": "True",
            "lastTransitionTime": stamp(now),
            "reason": "FailedCreate",
            "message": failure.message,
        },
    ]
