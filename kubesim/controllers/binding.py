"""Which PersistentVolume fits which claim. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from kubesim import quantity
from kubesim.controllers.meta import annotations_of, deleting, labels_of
from kubesim.resources import Object
from kubesim.selectors import from_label_selector

BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def class_of(obj: Object) -> str:
    """The class of a claim or volume: the old annotation first, then the field; "" is a class of its own."""
    legacy = annotations_of(obj).get("volume.beta.kubernetes.io/storage-class")
    return str(legacy if legacy is not None else obj["spec"].get("storageClassName") or "")


def default_class(classes: Iterable[Object]) -> Object | None:
    """The newest class marked as default."""
    marked = [c for c in classes if annotations_of(c).get(DEFAULT_CLASS) == "true"]
    return max(marked, key=lambda c: (c["metadata"]["creationTimestamp"], c["metadata"]["name"]), default=None)


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Whether the volume's claimRef names this very claim, or its name without saying which incarnation."""
    found = volume["spec"].get("claimRef") or {}
    metadata = claim["metadata"]
    named = (found.get("namespace"), found.get("name")) == (metadata["namespace"], metadata["name"])
    return named and found.get("uid", "") in ("", metadata["uid"])


def requested(claim: Object) -> str:
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def mismatch(volume: Object, claim: Object) -> str:
    """Why a claim that asks for this volume by name cannot have it, or ""."""
    if quantity.parse(volume["spec"]["capacity"]["storage"]) < quantity.parse(requested(claim)):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if volume["spec"].get("volumeMode", "Filesystem") != claim["spec"].get("volumeMode", "Filesystem"):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def best(claim: Object, volumes: Iterable[Object]) -> Object | None:
    """The volume to bind: one reserved for the claim, else the smallest free one that fits."""
    selector = claim["spec"].get("selector")
    fitting = []
    for volume in volumes:
        if deleting(volume) or mismatch(volume, claim):
            continue
        if volume["spec"].get("claimRef"):
            if is_bound_to(volume, claim):
                return volume
        elif _is_free(volume) and (selector is None or from_label_selector(selector).matches(labels_of(volume))):
            fitting.append(volume)
    return min(
        fitting, key=lambda v: (quantity.parse(v["spec"]["capacity"]["storage"]), v["metadata"]["name"]), default=None
    )


def _is_free(volume: Object) -> bool:
    return (volume.get("status") or {}).get("phase", "Pending") in ("Available", "Pending")
