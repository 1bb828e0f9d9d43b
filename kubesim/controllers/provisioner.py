"""Dynamic volumes: a folder per claim, for classes with provisioner `kubesim.dev/local`, and the claims of generic ephemeral volumes.

What local-path-provisioner is to k3s. The volume is a hostPath under the folder that `run_all` was given; deleting it deletes the folder.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from kubesim import quantity
from kubesim.controllers import binding
from kubesim.controllers.binding import PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES, owner_reference
from kubesim.controllers.meta import annotations_of, controller_of, deleting, is_finished
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.errors import AlreadyExists
from kubesim.resources import Object

PROVISIONER = "kubesim.dev/local"
CLASS: Object = {
    "metadata": {"name": "standard", "annotations": {binding.DEFAULT_CLASS: "true"}},
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}


class Provisioner(Controller):
    """Makes and removes volumes. Claims are keyed by their own key, volumes by ("", name)."""

    name = PROVISIONER

    def __init__(self, cluster: Cluster, *, folder: Path) -> None:
        super().__init__(cluster)
        self.folder = folder
        self.classes = self.informer(STORAGE_CLASSES)
        self.claims = self.on(CLAIMS)
        self.volumes = self.on(VOLUMES)

    async def run(self) -> None:
        await self.classes.synced.wait()
        if not self.classes.items():
            try:
                await self.cluster.create(STORAGE_CLASSES, CLASS)
            except AlreadyExists:
                pass
        await super().run()

    async def reconcile(self, key: Key) -> None:
        if not key.namespace:
            await self._remove(key)
            return
        claim = self.claims.get(*key)
        if claim is None:
            return
        if self._asked(claim):
            await self._provision(claim)
        elif (volume := self._outgrown(claim)) is not None:
            await self._grow(claim, volume)

    def _asked(self, claim: Object) -> bool:
        if (
            deleting(claim)
            or claim["spec"].get("volumeName")
            or annotations_of(claim).get(STORAGE_PROVISIONER) != PROVISIONER
        ):
            return False
        found = self.classes.get("", binding.class_of(claim))
        if found is None:
            return False
        waits = found.get("volumeBindingMode") == "WaitForFirstConsumer"
        return not waits or SELECTED_NODE in annotations_of(claim)

    async def _provision(self, claim: Object) -> None:
        metadata = claim["metadata"]
        name = f"pvc-{metadata['uid']}"
        if self.volumes.get("", name) is not None:
            return
        storage = self.classes.get("", binding.class_of(claim)) or CLASS
        message = f'External provisioner is provisioning volume for claim "{metadata["namespace"]}/{metadata["name"]}"'
        self.recorder.event(CLAIMS, claim, "Normal", "Provisioning", message)
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        try:
            await self.cluster.create(VOLUMES, new_volume(claim, storage, name, str(path)))
        except AlreadyExists:
            return
        self.recorder.event(CLAIMS, claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _outgrown(self, claim: Object) -> Object | None:
        """The claim's volume, where the claim asks for more than it was given. Admission has seen to it that its class allows that."""
        volume = self.volumes.get("", claim["spec"].get("volumeName", ""))
        given = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
        if deleting(claim) or volume is None or given is None:
            return None
        ours = annotations_of(volume).get(PROVISIONED_BY) == PROVISIONER
        return volume if ours and quantity.parse(binding.requested(claim)) > quantity.parse(given) else None

    async def _grow(self, claim: Object, volume: Object) -> None:
        """A folder needs no growing: the volume and the claim say the new size."""
        name, size = volume["metadata"]["name"], {"storage": binding.requested(claim)}
        self.recorder.event(CLAIMS, claim, "Normal", "Resizing", f"External resizer is resizing volume {name}")
        await self.cluster.patch(VOLUMES, volume, {"spec": {"capacity": size}})
        await self.cluster.patch(CLAIMS, claim, {"status": {"capacity": size}}, subresource="status")
        self.recorder.event(CLAIMS, claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    async def _remove(self, key: Key) -> None:
        volume = self.volumes.get(*key)
        if volume is None or annotations_of(volume).get(PROVISIONED_BY) != PROVISIONER:
            return
        released = (volume.get("status") or {}).get("phase") == "Released"
        if not released or volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
            return
        path = Path((volume["spec"].get("hostPath") or {}).get("path", ""))
        if path.parent == self.folder:  # never anything else, whatever somebody wrote into the object
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        await self.cluster.delete(VOLUMES, volume)


def new_volume(claim: Object, storage: Object, name: str, path: str) -> Object:
    """The volume for a claim, already reserved for it."""
    metadata = claim["metadata"]
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1"} | {
        field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")
    }
    return {
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": binding.requested(claim)},
            "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
            "storageClassName": storage["metadata"]["name"],
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "claimRef": reference,
        },
    }


class EphemeralClaims(Controller):
    """The claim of each generic ephemeral volume of a pod, owned by the pod."""

    name = "ephemeral-volume-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.pods = self.informer(PODS)
        self.claims = self.informer(CLAIMS)
        self.pods.on(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and any("ephemeral" in v for v in new["spec"].get("volumes") or ()):
            self.queue.add(Key(new["metadata"]["namespace"], new["metadata"]["name"]))

    async def reconcile(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is None or deleting(pod) or is_finished(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if "ephemeral" in volume:
                await self._ensure(pod, volume)

    async def _ensure(self, pod: Object, volume: Object) -> None:
        name = f"{pod['metadata']['name']}-{volume['name']}"
        found = self.claims.get(pod["metadata"]["namespace"], name)
        if found is not None:
            owner = controller_of(found) or {}
            if owner.get("uid") != pod["metadata"]["uid"]:
                message = f'PVC "{pod["metadata"]["namespace"]}/{name}" was not created for pod "{pod["metadata"]["name"]}" (pod is not owner)'
                self.recorder.event(PODS, pod, "Warning", "EphemeralVolumeCreationFailed", message)
            return
        template = volume["ephemeral"]["volumeClaimTemplate"]
        kept = {k: v for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations")}
        metadata = kept | {"name": name, "ownerReferences": [owner_reference(PODS, pod)]}
        await self.cluster.create(
            CLAIMS, {"metadata": metadata, "spec": template["spec"]}, pod["metadata"]["namespace"]
        )
