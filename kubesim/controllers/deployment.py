"""Deployments: roll a template out through ReplicaSets.

One reconcile makes at most one step (create, scale up, scale down, clean up) and then writes the status; the ReplicaSets' own changes bring the
next. The arithmetic is in `rollout`, what the status says in `progress`; this module carries it out. `kubectl rollout undo` needs nothing here:
it puts an old template back, and the ReplicaSet that has it becomes the new one with the next revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from kubesim.controllers import progress, rollout
from kubesim.controllers.clock import parse
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, owner_reference
from kubesim.controllers.meta import (
    annotations_of,
    controller_of,
    deleting,
    find_condition,
    is_finished,
    labels_of,
    with_metadata,
)
from kubesim.controllers.owners import claim, controlled_by
from kubesim.controllers.progress import new_condition, put_condition
from kubesim.controllers.rollout import replicas_of
from kubesim.controllers.runtime import Cluster, Controller, is_terminating
from kubesim.errors import AlreadyExists, ApiError, NotFound
from kubesim.resources import Object
from kubesim.selectors import from_label_selector


class Deployments(Controller):
    name = "deployment-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.deployments = self.on(DEPLOYMENTS)
        self.sets = self.on(REPLICA_SETS, self._deployments_of)
        self.pods = self.informer(PODS)
        self.pods.on(self._pod_changed)

    def _deployments_of(self, replicas: Object) -> Iterable[Key]:
        owner = controller_of(replicas)
        namespace = replicas["metadata"]["namespace"]
        if owner is not None:
            return [Key(namespace, owner["name"])] if owner["kind"] == "Deployment" else []
        found = self.deployments.items(namespace)
        return [key_of(d) for d in found if from_label_selector(d["spec"]["selector"]).matches(labels_of(replicas))]

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Recreate waits for the last old pod to go."""
        owner = controller_of(old) if old is not None and new is None else None
        replicas = self.sets.get(old["metadata"]["namespace"], owner["name"]) if old and owner else None
        if replicas is not None:
            for key in self._deployments_of(replicas):
                self.queue.add(key)

    async def reconcile(self, key: Key) -> float | None:
        deployment = self.deployments.get(*key)
        if deployment is None:
            return None
        selector = from_label_selector(deployment["spec"]["selector"])
        if selector.empty:
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self.recorder.event(DEPLOYMENTS, deployment, "Warning", "SelectingAll", message)
            return None
        await claim(self.cluster, DEPLOYMENTS, deployment, REPLICA_SETS, selector)
        if deleting(deployment):
            return await self._write_counts(deployment)
        deployment = await self._note_pause(deployment)
        sets = self._sets(deployment)
        if deployment["spec"].get("paused"):
            await self._scale_all(deployment)
            await self._clean_up(deployment)
            return await self._write_counts(deployment)
        if rollout.is_scaling(deployment, sets):
            await self._scale_all(deployment)
            return await self._write_counts(deployment)
        await (self._roll(deployment) if rollout.is_rolling(deployment) else self._recreate(deployment))
        return await self._write_status(key)

    def _sets(self, deployment: Object) -> list[Object]:
        return self.sets.controlled(deployment["metadata"]["uid"])

    def _fresh(self, deployment: Object) -> Object:
        return self.deployments.get(*key_of(deployment)) or deployment

    # pausing

    async def _note_pause(self, deployment: Object) -> Object:
        if progress.deadline(deployment) is None:
            return deployment
        conditions = (deployment.get("status") or {}).get("conditions") or []
        current = find_condition(conditions, "Progressing") or {}
        reason = current.get("reason")
        paused = bool(deployment["spec"].get("paused"))
        if reason == "ProgressDeadlineExceeded" or paused == (reason == "DeploymentPaused"):
            return deployment
        word = "paused" if paused else "resumed"
        new = new_condition(
            "Progressing", "Unknown", f"Deployment{word.title()}", f"Deployment is {word}", self.clock.now()
        )
        return await self._put_condition(deployment, new)

    async def _put_condition(self, deployment: Object, condition: Object) -> Object:
        status = deployment.get("status") or {}
        status = status | {"conditions": put_condition(status.get("conditions") or [], condition)}
        return await self.cluster.update_status(DEPLOYMENTS, deployment, status)

    # the new ReplicaSet

    async def _new_set(self, deployment: Object, *, create: bool) -> Object | None:
        """The ReplicaSet of the current template, with its revision and annotations brought up to date."""
        sets = self._sets(deployment)
        new = rollout.find_new(deployment, sets)
        revision = 1 + max((rollout.revision_of(s) for s in sets if new is None or s is not new), default=0)
        if new is None:
            return await self._create_set(deployment, sets, revision) if create else None
        annotations = rollout.revised_annotations(deployment, new, revision)
        minimum = deployment["spec"].get("minReadySeconds", 0)
        if annotations != (new["metadata"].get("annotations") or {}) or minimum != new["spec"].get(
            "minReadySeconds", 0
        ):
            change = {"metadata": {"annotations": annotations}, "spec": {"minReadySeconds": minimum}}
            new = await self.cluster.patch(REPLICA_SETS, new, change)
        message = f'Found new replica set "{new["metadata"]["name"]}"'
        await self._note_revision(deployment, rollout.revision_of(new), "FoundNewReplicaSet", message)
        return new

    async def _create_set(self, deployment: Object, sets: Sequence[Object], revision: int) -> Object | None:
        size = rollout.new_size(deployment, sets, 0)
        body = new_set(deployment, size, revision)
        try:
            new = await self.cluster.create(REPLICA_SETS, body, deployment["metadata"]["namespace"])
        except AlreadyExists:
            return await self._collided(deployment, body)
        except ApiError as error:
            await self._refused(deployment, body, error)
            raise
        name = new["metadata"]["name"]
        if size:
            self._say_scaled(deployment, name, 0, size)
        await self._note_revision(deployment, revision, "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return new

    async def _collided(self, deployment: Object, body: Object) -> Object | None:
        """The name is taken: by our own ReplicaSet that the copy has not seen yet, or by a stranger's hash."""
        found = await self.cluster.client.get(
            REPLICA_SETS, body["metadata"]["name"], deployment["metadata"]["namespace"]
        )
        if controlled_by(found, deployment) and rollout.find_new(deployment, [found]):
            return found
        status = deployment.get("status") or {}
        collisions = (status.get("collisionCount") or 0) + 1
        await self.cluster.update_status(DEPLOYMENTS, deployment, status | {"collisionCount": collisions})
        self.queue.add(key_of(deployment))
        return None

    async def _refused(self, deployment: Object, body: Object, error: ApiError) -> None:
        if is_terminating(error):
            return
        message = f'Failed to create new replica set "{body["metadata"]["name"]}": {error.message}'
        if progress.deadline(deployment) is not None:
            condition = new_condition("Progressing", "False", "ReplicaSetCreateError", message, self.clock.now())
            await self._put_condition(self._fresh(deployment), condition)
        self.recorder.event(DEPLOYMENTS, deployment, "Warning", "ReplicaSetCreateError", message)

    async def _note_revision(self, deployment: Object, revision: int, reason: str, message: str) -> None:
        """The Deployment carries the revision of its new ReplicaSet, and a Progressing condition from the start."""
        deployment = self._fresh(deployment)
        wanted = deployment
        if revision and rollout.revision_of(deployment) != revision:
            marks = annotations_of(deployment) | {rollout.REVISION: str(revision)}
            wanted = with_metadata(
                wanted, annotations=marks
            )  # a status update may change annotations: one write for both
        status = deployment.get("status") or {}
        known = find_condition(status.get("conditions") or (), "Progressing")
        if progress.deadline(deployment) is not None and (known is None or reason == "NewReplicaSetCreated"):
            condition = new_condition("Progressing", "True", reason, message, self.clock.now())
            wanted = wanted | {
                "status": status | {"conditions": put_condition(status.get("conditions") or [], condition)}
            }
        if wanted != deployment:
            await self.cluster.update(DEPLOYMENTS, wanted, subresource="status")

    # scaling

    async def _scale(self, deployment: Object, replicas: Object, size: int) -> None:
        """Set a ReplicaSet's size and the annotations that remember what the Deployment wanted then."""
        annotations = rollout.size_annotations(deployment)
        before = replicas_of(replicas)
        if before == size and annotations.items() <= (replicas["metadata"].get("annotations") or {}).items():
            return
        change = {
            "metadata": {"resourceVersion": replicas["metadata"]["resourceVersion"], "annotations": annotations},
            "spec": {"replicas": size},
        }
        try:
            await self.cluster.patch(REPLICA_SETS, replicas, change)
        except NotFound:
            return
        if before != size:
            self._say_scaled(deployment, replicas["metadata"]["name"], before, size)

    def _say_scaled(self, deployment: Object, name: str, before: int, after: int) -> None:
        word = "up" if after > before else "down"
        message = f"Scaled {word} replica set {name} from {before} to {after}"
        self.recorder.event(DEPLOYMENTS, deployment, "Normal", "ScalingReplicaSet", message)

    async def _scale_all(self, deployment: Object) -> None:
        """Follow a change of spec.replicas without going on with the rollout."""
        new = await self._new_set(deployment, create=False)
        old = self._old(deployment, new)
        only = rollout.find_active_or_latest(new, old)
        if only is not None:
            await self._scale(deployment, only, replicas_of(deployment))
        elif rollout.is_saturated(deployment, new):
            for each in rollout.active(old):
                await self._scale(deployment, each, 0)
        elif rollout.is_rolling(deployment):
            everything = rollout.active([*old, *([new] if new else [])])
            for each, size in rollout.proportional_sizes(deployment, everything):
                await self._scale(deployment, each, size)

    def _old(self, deployment: Object, new: Object | None) -> list[Object]:
        uid = new["metadata"]["uid"] if new else ""
        return [s for s in self._sets(deployment) if s["metadata"]["uid"] != uid]

    # the two strategies

    async def _roll(self, deployment: Object) -> None:
        new = await self._new_set(deployment, create=True)
        if new is None:
            return
        old = self._old(deployment, new)
        wanted = replicas_of(deployment)
        if replicas_of(new) != wanted:
            size = wanted if replicas_of(new) > wanted else rollout.new_size(deployment, [*old, new], replicas_of(new))
            if size != replicas_of(new):
                await self._scale(deployment, new, size)
                return
        sizes = rollout.old_sizes(deployment, new, rollout.active(old))
        for each in old:
            if each["metadata"]["name"] in sizes:
                await self._scale(deployment, each, sizes[each["metadata"]["name"]])
        if not sizes and progress.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment)

    async def _recreate(self, deployment: Object) -> None:
        new = await self._new_set(deployment, create=False)
        old = self._old(deployment, new)
        if rollout.active(old):
            for each in rollout.active(old):
                await self._scale(deployment, each, 0)
            return
        if any(not is_finished(pod) for each in old for pod in self.pods.controlled(each["metadata"]["uid"])):
            return
        new = new or await self._new_set(deployment, create=True)
        if new is not None:
            await self._scale(deployment, new, replicas_of(deployment))
        if progress.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment)

    async def _clean_up(self, deployment: Object) -> None:
        """Delete the oldest empty ReplicaSets beyond revisionHistoryLimit."""
        limit = deployment["spec"].get("revisionHistoryLimit")
        old = [
            s for s in self._old(deployment, rollout.find_new(deployment, self._sets(deployment))) if not deleting(s)
        ]
        if limit is None or len(old) <= limit:
            return
        for each in sorted(old, key=rollout.revision_of)[: len(old) - limit]:
            behind = each["metadata"].get("generation", 0) > rollout.counted(each, "observedGeneration")
            if not replicas_of(each) and not rollout.counted(each, "replicas") and not behind:
                await self.cluster.delete(REPLICA_SETS, each, propagation="Background")

    # status

    async def _write_counts(self, deployment: Object) -> float | None:
        """The status of a Deployment that is not rolled out now (paused, scaling or going away)."""
        deployment = self._fresh(deployment)
        sets = self._sets(deployment)
        status = progress.counts(deployment, rollout.find_new(deployment, sets), sets, self.clock.now())
        await self.cluster.update_status(DEPLOYMENTS, deployment, status)
        return None

    async def _write_status(self, key: Key) -> float | None:
        """Write what the rollout has come to; seconds until its deadline passes."""
        deployment = self.deployments.get(*key)
        if deployment is None:
            return None
        sets = self._sets(deployment)
        now = self.clock.now()
        status = progress.rollout_status(deployment, rollout.find_new(deployment, sets), sets, now)
        deployment = await self.cluster.update_status(DEPLOYMENTS, deployment, status)
        current = find_condition(status["conditions"], "Progressing") or {}
        seconds = progress.deadline(deployment)
        ended = current.get("reason") in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable")
        if seconds is None or not current or ended or progress.is_complete(deployment, status):
            return None
        return max(0.0, (parse(current["lastUpdateTime"]) + timedelta(seconds=seconds) - now).total_seconds()) + 1


def new_set(deployment: Object, size: int, revision: int) -> Object:
    """The ReplicaSet for a Deployment's current template."""
    name = rollout.template_hash(deployment)
    spec = deployment["spec"]
    marked = {rollout.HASH: name}
    metadata = spec["template"].get("metadata") or {}
    labels = (metadata.get("labels") or {}) | marked
    selector = spec["selector"] | {"matchLabels": (spec["selector"].get("matchLabels") or {}) | marked}
    body: Object = {
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{name}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": rollout.copied_annotations(deployment)
            | {rollout.REVISION: str(revision)}
            | rollout.size_annotations(deployment),
            "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
        },
        "spec": {
            "replicas": size,
            "selector": selector,
            "template": {"metadata": metadata | {"labels": labels}, "spec": spec["template"]["spec"]},
        },
    }
    if spec.get("minReadySeconds"):
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return body
