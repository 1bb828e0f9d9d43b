"""Volumes, claims, classes and CSI."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import AGE, NAME, UNSET, Column, age, name_of

MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
VOLUME = [
    NAME,
    Column("Capacity", "core.v1.PersistentVolumeSpec.capacity"),
    Column("Access Modes", "core.v1.PersistentVolumeSpec.accessModes"),
    Column("Reclaim Policy", "core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy"),
    Column("Status", "core.v1.PersistentVolumeStatus.phase"),
    Column("Claim", "core.v1.PersistentVolumeSpec.claimRef"),
    Column("StorageClass", "StorageClass of the pv"),
    Column("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
    Column("Reason", "core.v1.PersistentVolumeStatus.reason"),
    AGE,
    Column("VolumeMode", "core.v1.PersistentVolumeSpec.volumeMode", wide=True),
]
CLAIM = [
    NAME,
    Column("Status", "core.v1.PersistentVolumeClaimStatus.phase"),
    Column("Volume", "core.v1.PersistentVolumeClaimSpec.volumeName"),
    Column("Capacity", "core.v1.PersistentVolumeClaimStatus.capacity"),
    Column("Access Modes", "core.v1.PersistentVolumeClaimStatus.accessModes"),
    Column("StorageClass", "StorageClass of the pvc"),
    Column("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
    AGE,
    Column("VolumeMode", "core.v1.PersistentVolumeClaimSpec.volumeMode", wide=True),
]
STORAGE_CLASS = [
    NAME,
    Column("Provisioner", "storage.v1.StorageClass.provisioner"),
    Column("ReclaimPolicy", "storage.v1.StorageClass.reclaimPolicy"),
    Column("VolumeBindingMode", "storage.v1.StorageClass.volumeBindingMode"),
    Column("AllowVolumeExpansion", "storage.v1.StorageClass.allowVolumeExpansion"),
    AGE,
]
CSI_DRIVER = [
    NAME,
    Column("AttachRequired", "storage.v1.CSIDriverSpec.attachRequired", type="boolean"),
    Column("PodInfoOnMount", "storage.v1.CSIDriverSpec.podInfoOnMount", type="boolean"),
    Column("StorageCapacity", "storage.v1.CSIDriverSpec.storageCapacity", type="boolean"),
    Column("TokenRequests", "storage.v1.CSIDriverSpec.tokenRequests"),
    Column("RequiresRepublish", "storage.v1.CSIDriverSpec.requiresRepublish", type="boolean"),
    Column("Modes", "storage.v1.CSIDriverSpec.volumeLifecycleModes"),
    AGE,
]
CSI_NODE = [
    NAME,
    Column("Drivers", "Drivers indicates the number of CSI drivers registered on the node", type="integer"),
    AGE,
]
CAPACITY = [
    NAME,
    Column("StorageClassName", "storage.v1.CSIStorageCapacity.storageClassName"),
    Column("Capacity", "storage.v1.CSIStorageCapacity.capacity"),
]
ATTACHMENT = [
    NAME,
    Column("Attacher", "storage.v1.VolumeAttachmentSpec.attacher", format="name"),
    Column("PV", "storage.v1.VolumeAttachmentSource.persistentVolumeName"),
    Column("Node", "storage.v1.VolumeAttachmentSpec.nodeName"),
    Column("Attached", "storage.v1.VolumeAttachmentStatus.attached", type="boolean"),
    AGE,
]
ATTRIBUTES_CLASS = [NAME, Column("DriverName", "storage.v1.VolumeAttributesClass.driverName"), AGE]


def modes(values: Any) -> str:
    return ",".join(short for mode, short in MODES.items() if mode in (values or ()))


def volume(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    reference = spec.get("claimRef")
    bound = f"{reference.get('namespace', '')}/{reference.get('name', '')}" if reference else ""
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    head = [name_of(obj), (spec.get("capacity") or {}).get("storage", "0"), modes(spec.get("accessModes"))]
    head += [spec.get("persistentVolumeReclaimPolicy", ""), phase, bound, spec.get("storageClassName", "")]
    tail = [spec.get("volumeAttributesClassName") or UNSET, status.get("reason", ""), age(obj, now)]
    return [*head, *tail, spec.get("volumeMode") or UNSET]


def claim(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    capacity, access = "", ""
    if spec.get("volumeName"):
        capacity, access = (status.get("capacity") or {}).get("storage", "0"), modes(status.get("accessModes"))
    head = [name_of(obj), phase, spec.get("volumeName", ""), capacity, access, spec.get("storageClassName") or ""]
    attributes = spec.get("volumeAttributesClassName") or UNSET
    return [*head, attributes, age(obj, now), spec.get("volumeMode") or UNSET]


def storage_class(obj: Object, now: datetime) -> list[Any]:
    annotations = obj["metadata"].get("annotations") or {}
    default = any(annotations.get(key) == "true" for key in DEFAULT_CLASS)
    name = name_of(obj) + (" (default)" if default else "")
    row = [
        name,
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
    ]
    return [*row, bool(obj.get("allowVolumeExpansion")), age(obj, now)]


def csi_driver(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    tokens = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or ()) or UNSET
    row = [
        name_of(obj),
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
    ]
    lifecycle = ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>"
    return [*row, tokens, spec.get("requiresRepublish", False), lifecycle, age(obj, now)]


def csi_node(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len((obj.get("spec") or {}).get("drivers") or ()), age(obj, now)]


def capacity(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("storageClassName", ""), obj.get("capacity") or UNSET]


def attachment(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    source = (spec.get("source") or {}).get("persistentVolumeName") or ""
    return [
        name_of(obj),
        spec.get("attacher", ""),
        source,
        spec.get("nodeName", ""),
        status.get("attached", False),
        age(obj, now),
    ]


def attributes_class(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("driverName", ""), age(obj, now)]
