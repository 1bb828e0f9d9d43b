"""Small pure helpers for Kubernetes objects as decoded JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as decoded JSON."""


def metadata(obj: Mapping[str, Any]) -> dict[str, Any]:
    return obj.get("metadata") or {}


def name(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("name") or "")


def namespace(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("namespace") or "")


def labels(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("labels") or {}


def annotation(obj: Mapping[str, Any], key: str) -> str | None:
    value = (metadata(obj).get("annotations") or {}).get(key)
    return None if value is None else str(value)


def deleting(obj: Mapping[str, Any]) -> bool:
    return bool(metadata(obj).get("deletionTimestamp"))


def owner_reference(owner: Mapping[str, Any]) -> Object:
    """A controller reference, so that garbage collection removes the child with its owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": metadata(owner)["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Mapping[str, Any]) -> Object | None:
    """The owner reference marked as controller; there is at most one."""
    references = metadata(obj).get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def controlled_by(obj: Mapping[str, Any], kind: str) -> str:
    """The name of the object of `kind` that controls this one, or ''."""
    reference = controller_of(obj)
    return str(reference["name"]) if reference and reference.get("kind") == kind else ""


def now() -> str:
    """The time as Kubernetes writes it: seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge_conditions(old: Sequence[Object], new: Sequence[Object], *, at: str) -> list[Object]:
    """`new` with each condition's lastTransitionTime kept where its status did not change.

    Conditions of a type that `new` does not name are dropped: the list is the controller's whole statement.
    """
    before = {condition.get("type"): condition for condition in old}
    merged = []
    for condition in new:
        known = before.get(condition["type"])
        kept = known.get("lastTransitionTime") if known and known.get("status") == condition["status"] else None
        merged.append({**condition, "lastTransitionTime": kept or at})
    return merged
