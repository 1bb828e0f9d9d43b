"""Defaults of PersistentVolumes, PersistentVolumeClaims, StorageClasses and CSIDrivers."""

from __future__ import annotations

from kubesim.resources import Object


def persistent_volume(obj: Object) -> None:
    spec = obj["spec"]
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    if spec.get("hostPath") is not None:
        spec["hostPath"].setdefault("type", "")


def persistent_volume_claim(obj: Object) -> None:
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    obj["spec"].setdefault("volumeMode", "Filesystem")
    for name in ("dataSource", "dataSourceRef"):
        reference = obj["spec"].get(name)
        if reference is not None and not reference.get("apiGroup"):
            reference.setdefault("apiGroup", None)


def storage_class(obj: Object) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def csi_driver(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("attachRequired", True)
    spec.setdefault("podInfoOnMount", False)
    spec.setdefault("storageCapacity", False)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    spec.setdefault("volumeLifecycleModes", ["Persistent"])
    spec.setdefault("requiresRepublish", False)
    spec.setdefault("seLinuxMount", False)
