"""PersistentVolumes and claims: binding, phases, reclaiming and protection.

Binding writes the volume first (claimRef, then status), then the claim; a crash in between leaves a volume reserved for the claim, which the next
reconcile completes. A volume whose claim is gone is Released; policy Delete removes it, Retain leaves it and its data to an administrator.
"""

from __future__ import annotations

from kubesim.controllers import binding
from kubesim.controllers.binding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from kubesim.controllers.clock import stamp
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from kubesim.controllers.meta import annotations_of, deleting, finalizers_of, is_finished
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.controllers.scheduler import claim_names
from kubesim.errors import NotFound
from kubesim.resources import Object

CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION = "kubernetes.io/pv-protection"
RESYNC = 15.0
NAME = "persistentvolume-controller"


class Claims(Controller):
    """Binds claims to volumes."""

    name = NAME
    workers = 1  # two claims must not take one volume

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.claims = self.on(CLAIMS)
        self.volumes = self.informer(VOLUMES)
        self.classes = self.informer(STORAGE_CLASSES)
        self.volumes.on(self._volume_changed)
        self.classes.on(lambda old, new: self._wake_unbound())

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        reference = (new or old or {})["spec"].get("claimRef")
        if reference:
            self.queue.add(Key(reference["namespace"], reference["name"]))
        else:
            self._wake_unbound()

    def _wake_unbound(self) -> None:
        for claim in self.claims.items():
            if BIND_COMPLETED not in annotations_of(claim):
                self.queue.add(key_of(claim))

    async def reconcile(self, key: Key) -> float | None:
        claim = self.claims.get(*key)
        if claim is None:
            return None
        if BIND_COMPLETED in annotations_of(claim):
            await self._check(claim)
            return None
        if deleting(claim):
            return None
        claim = await self._default_class(claim)
        volume = await (self._named(claim) if claim["spec"].get("volumeName") else self._find(claim))
        if volume is None:
            await self._pending(claim)
            return RESYNC
        await self._bind(claim, volume)
        return None

    async def _default_class(self, claim: Object) -> Object:
        """A claim that names no class gets the default one, even if that came later."""
        found = binding.default_class(self.classes.items())
        if "storageClassName" in claim["spec"] or claim["spec"].get("volumeName") or found is None:
            return claim
        return await self.cluster.patch(CLAIMS, claim, {"spec": {"storageClassName": found["metadata"]["name"]}})

    async def _named(self, claim: Object) -> Object | None:
        volume = self.volumes.get("", claim["spec"]["volumeName"])
        if volume is None:
            return None
        taken = volume["spec"].get("claimRef") and not binding.is_bound_to(volume, claim)
        name = volume["metadata"]["name"]
        problem = f'volume "{name}" already bound to a different claim.' if taken else ""
        why = binding.mismatch(volume, claim)
        problem = problem or (f'Cannot bind to requested volume "{name}": {why}' if why else "")
        if problem:
            kind = "FailedBinding" if taken else "VolumeMismatch"
            self.recorder.event(CLAIMS, claim, "Warning", kind, problem)
            return None
        return volume

    async def _find(self, claim: Object) -> Object | None:
        waits = self._waits(claim)
        if waits and SELECTED_NODE not in annotations_of(claim):
            reserved = next(
                (v for v in self.volumes.items() if v["spec"].get("claimRef") and binding.is_bound_to(v, claim)), None
            )
            if reserved is None:
                message = "waiting for first consumer to be created before binding"
                self.recorder.event(CLAIMS, claim, "Normal", "WaitForFirstConsumer", message)
            return reserved
        volume = binding.best(claim, self.volumes.items())
        if volume is None:
            await self._want(claim)
        return volume

    def _waits(self, claim: Object) -> bool:
        found = self.classes.get("", binding.class_of(claim))
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

    async def _want(self, claim: Object) -> None:
        """Nothing fits: ask the class's provisioner, or say why nobody can help."""
        name = binding.class_of(claim)
        found = self.classes.get("", name)
        if not name:
            message = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(CLAIMS, claim, "Normal", "FailedBinding", message)
        elif found is None:
            message = f'storageclass.storage.k8s.io "{name}" not found'
            self.recorder.event(CLAIMS, claim, "Warning", "ProvisioningFailed", message)
        elif annotations_of(claim).get(STORAGE_PROVISIONER) != found["provisioner"]:
            marks = {
                STORAGE_PROVISIONER: found["provisioner"],
                "volume.beta.kubernetes.io/storage-provisioner": found["provisioner"],
            }
            await self.cluster.patch(CLAIMS, claim, {"metadata": {"annotations": marks}})
            message = (
                "Waiting for a volume to be created either by the external provisioner "
                f"'{found['provisioner']}' or manually by the system administrator. If volume creation is delayed, "
                "please verify that the provisioner is running and correctly registered."
            )
            self.recorder.event(CLAIMS, claim, "Normal", "ExternalProvisioning", message)

    async def _pending(self, claim: Object) -> None:
        claim = self.claims.get(*key_of(claim)) or claim
        if (claim.get("status") or {}).get("phase") != "Pending":
            await self.cluster.update_status(CLAIMS, claim, {"phase": "Pending"})

    async def _bind(self, claim: Object, volume: Object) -> None:
        volume = await self._reserve(claim, volume)
        await write_phase(self.cluster, volume, "Bound", stamp(self.clock.now()))
        metadata = claim["metadata"]
        marks = {BIND_COMPLETED: "yes"} | ({} if claim["spec"].get("volumeName") else {BOUND_BY_CONTROLLER: "yes"})
        change = {
            "metadata": {"uid": metadata["uid"], "annotations": marks},
            "spec": {"volumeName": volume["metadata"]["name"]},
        }
        claim = await self.cluster.patch(CLAIMS, claim, change)
        await self.cluster.update_status(CLAIMS, claim, bound_status(claim, volume))

    async def _reserve(self, claim: Object, volume: Object) -> Object:
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") == claim["metadata"]["uid"]:
            return volume
        metadata = claim["metadata"]
        wanted = {
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": "v1",
            "resourceVersion": metadata["resourceVersion"],
        }
        change: Object = {
            "metadata": {"resourceVersion": volume["metadata"]["resourceVersion"]},
            "spec": {"claimRef": wanted},
        }
        if not reference:
            change["metadata"]["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
        return await self.cluster.patch(VOLUMES, volume, change)

    async def _check(self, claim: Object) -> None:
        """A bound claim keeps its phase; it is Lost when its volume is."""
        volume = self.volumes.get("", claim["spec"].get("volumeName", ""))
        status = claim.get("status") or {}
        if volume is not None and binding.is_bound_to(volume, claim):
            if not (volume["spec"].get("claimRef") or {}).get("uid"):
                volume = await self._reserve(claim, volume)
            if status.get("phase") != "Bound":
                await self.cluster.update_status(CLAIMS, claim, bound_status(claim, volume))
        elif status.get("phase") == "Bound" and not await self._volume_lives(claim):
            message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            self.recorder.event(CLAIMS, claim, "Warning", "ClaimLost", message)
            await self.cluster.update_status(CLAIMS, claim, status | {"phase": "Lost"})

    async def _volume_lives(self, claim: Object) -> bool:
        try:
            return binding.is_bound_to(
                await self.cluster.client.get(VOLUMES, claim["spec"].get("volumeName", "")), claim
            )
        except NotFound:
            return False


class Volumes(Controller):
    """Keeps volumes' phases, and deletes released ones where the policy says so."""

    name = NAME

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.volumes = self.on(VOLUMES)
        self.claims = self.on(CLAIMS, _volume_of)

    async def reconcile(self, key: Key) -> None:
        volume = self.volumes.get(*key)
        if volume is None:
            return
        wanted = await self._phase(volume)
        await write_phase(self.cluster, volume, wanted, stamp(self.clock.now()))
        if (
            wanted == "Released"
            and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
            and not deleting(volume)
        ):
            await self._reclaim(volume)

    async def _phase(self, volume: Object) -> str:
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            return "Available"
        if self.claims.get(reference["namespace"], reference["name"]) is None and await self._claim_gone(reference):
            return "Released"
        claim = self.claims.get(reference["namespace"], reference["name"])
        if claim is not None and claim["metadata"]["uid"] != reference["uid"] and await self._claim_gone(reference):
            return "Released"
        return "Bound"

    async def _claim_gone(self, reference: Object) -> bool:
        """Asked of the API: a volume is not released because a copy is behind."""
        try:
            found = await self.cluster.client.get(CLAIMS, reference["name"], reference["namespace"])
        except NotFound:
            return True
        return bool(found["metadata"]["uid"] != reference["uid"])

    async def _reclaim(self, volume: Object) -> None:
        """A dynamically provisioned volume is its provisioner's to delete; others have no deleter here."""
        if PROVISIONED_BY in annotations_of(volume):
            return
        message = (
            "error getting deleter volume plugin for volume "
            + f'"{volume["metadata"]["name"]}": no deletable volume plugin matched'
        )
        self.recorder.event(VOLUMES, volume, "Warning", "VolumeFailedDelete", message)
        await write_phase(self.cluster, volume, "Failed", stamp(self.clock.now()))


def _volume_of(claim: Object) -> list[Key]:
    name = claim["spec"].get("volumeName")
    return [Key("", name)] if name else []


async def write_phase(cluster: Cluster, volume: Object, wanted: str, now: str) -> Object:
    """Write a volume's phase if it differs; Failed stays until the claim changes."""
    status = volume.get("status") or {}
    if status.get("phase") == wanted or (status.get("phase") == "Failed" and wanted == "Released"):
        return volume
    return await cluster.update_status(VOLUMES, volume, {"phase": wanted, "lastPhaseTransitionTime": now})


def bound_status(claim: Object, volume: Object) -> Object:
    kept = {k: v for k, v in (claim.get("status") or {}).items() if k == "conditions"}
    modes, capacity = volume["spec"].get("accessModes") or [], {"storage": volume["spec"]["capacity"]["storage"]}
    return {"phase": "Bound", "accessModes": modes, "capacity": capacity} | kept


class Protection(Controller):
    """Holds deleted claims while a pod uses them, and deleted volumes while they are bound."""

    name = "pvc-protection-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.claims = self.on(CLAIMS)
        self.volumes = self.on(VOLUMES)
        self.pods = self.informer(PODS)
        self.pods.on(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or is_finished(new):
            for name in claim_names(new or old or {}):
                self.queue.add(Key((new or old or {})["metadata"]["namespace"], name))

    async def reconcile(self, key: Key) -> None:
        if not key.namespace:
            await self._volume(key)
            return
        claim = self.claims.get(*key)
        if claim is None or not deleting(claim) or CLAIM_PROTECTION not in finalizers_of(claim) or self._used(key):
            return
        found = await self.cluster.client.list(PODS, key.namespace)
        if not any(_uses(pod, key) for pod in found.items):
            await self._release(CLAIMS, claim, CLAIM_PROTECTION)

    def _used(self, key: Key) -> bool:
        return any(_uses(pod, key) for pod in self.pods.items(key.namespace))

    async def _volume(self, key: Key) -> None:
        volume = self.volumes.get(*key)
        if volume is None or not deleting(volume) or VOLUME_PROTECTION not in finalizers_of(volume):
            return
        if (volume.get("status") or {}).get("phase") != "Bound":
            await self._release(VOLUMES, volume, VOLUME_PROTECTION)

    async def _release(self, resource: str, obj: Object, finalizer: str) -> None:
        kept = [f for f in finalizers_of(obj) if f != finalizer]
        version = obj["metadata"]["resourceVersion"]
        try:
            await self.cluster.patch(
                resource, obj, {"metadata": {"resourceVersion": version, "finalizers": kept or None}}
            )
        except NotFound:
            pass


def _uses(pod: Object, key: Key) -> bool:
    return key.name in claim_names(pod) and not is_finished(pod)
