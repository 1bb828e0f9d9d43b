"""DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize: claims get a class, grow where it allows that, and volumes
in use are not taken away."""

from __future__ import annotations

from kubesim import quantity
from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Reader
from kubesim.resources import Object

CLAIMS = "v1/persistentvolumeclaims"
VOLUMES = "v1/persistentvolumes"
CLASSES = "storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
_BETA_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
FINALIZERS = {CLAIMS: "kubernetes.io/pvc-protection", VOLUMES: "kubernetes.io/pv-protection"}
"""The persistent volume controllers take them off again once nothing uses the object."""


class StorageObjectInUseProtection(Plugin):
    kinds = tuple(FINALIZERS)

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        finalizer = FINALIZERS.get(request.resource.key)
        if finalizer is None or not request.creates(request.resource.key):
            return
        metadata = request.body["metadata"]
        if finalizer not in (metadata.get("finalizers") or ()):
            metadata["finalizers"] = [*(metadata.get("finalizers") or ()), finalizer]


class DefaultStorageClass(Plugin):
    kinds = (CLAIMS,)

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.creates(CLAIMS) or _BETA_CLASS in (request.body["metadata"].get("annotations") or {}):
            return
        spec = request.body.setdefault("spec", {})
        # an empty name is a choice: no class, only volumes made by hand
        if spec.get("storageClassName") is None and (chosen := default_class(reader)) is not None:
            spec["storageClassName"] = chosen["metadata"]["name"]


class PersistentVolumeClaimResize(Plugin):
    kinds = (CLAIMS,)

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.updates(CLAIMS) or request.old is None:
            return
        before, after = _requested(request.old), _requested(request.body)
        if quantity.parse(after) <= quantity.parse(before):
            return
        if (request.old.get("status") or {}).get("phase") != "Bound":
            raise request.forbid("Only bound persistent volume claims can be expanded")
        name = request.body["spec"].get("storageClassName") or ""
        found = reader.get(CLASSES, "", name) if name else None
        if found is None or found.get("allowVolumeExpansion") is not True:
            raise request.forbid(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
            )


def _requested(claim: Object) -> str:
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def default_class(reader: Reader) -> Object | None:
    """The newest of the classes marked as default."""
    marked = [one for one in reader.list(CLASSES) if _is_default(one)]
    return max(
        marked,
        key=lambda one: (str(one["metadata"].get("creationTimestamp")), str(one["metadata"]["name"])),
        default=None,
    )


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return "true" in (annotations.get(DEFAULT), annotations.get(_BETA_DEFAULT))
