"""What has to be done so that an object is as a controller wants it. Pure: existing and desired in, one change (or none) out.

A controller owns only what its desired object names: other people's labels, annotations, and fields that the server filled in are left
alone. The smallest merge patch is sent, with the resourceVersion it was computed from, so a change made in between is never overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from kubeflow_lite import quantity
from kubeflow_lite.objects import Object, controller_of, metadata


@dataclass(frozen=True)
class Create:
    body: Object


@dataclass(frozen=True)
class Patch:
    """A merge patch to `existing`."""

    existing: Object
    patch: Object


@dataclass(frozen=True)
class Replace:
    """Delete `existing`, then create `body`: a field differs that can never be changed in place."""

    existing: Object
    body: Object


Change: TypeAlias = Create | Patch | Replace | None

_IMMUTABLE = {"RoleBinding": ("roleRef",), "ClusterRoleBinding": ("roleRef",)}
_KEEP_LABELS = ("Namespace",)
"""Stock Kubeflow never overwrites a label value that a namespace already has."""
_AMOUNTS = {"ResourceQuota": ("spec", "hard")}


def change(existing: Object | None, desired: Object) -> Change:
    if existing is None:
        return Create(desired)
    kind = desired["kind"]
    body = {key: value for key, value in desired.items() if key not in ("apiVersion", "kind", "metadata")}
    patch = _difference({key: existing.get(key) for key in body}, body, at=(), amounts=_AMOUNTS.get(kind))
    if any(field in patch for field in _IMMUTABLE.get(kind, ())):
        return Replace(existing, desired)
    if meta := _metadata(existing, desired, keep_labels=kind in _KEEP_LABELS):
        patch["metadata"] = meta
    if not patch:
        return None
    patch.setdefault("metadata", {})["resourceVersion"] = metadata(existing)["resourceVersion"]
    return Patch(existing, patch)


def _difference(old: Any, new: Any, *, at: tuple[str, ...], amounts: tuple[str, ...] | None) -> Object:
    """The merge patch from one mapping to another, with null for what goes. `amounts` is the path of a mapping of quantities."""
    patch: Object = {}
    for key in {**(old or {}), **new}:
        before, after = (old or {}).get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            if inner := _difference(before, after, at=(*at, key), amounts=amounts):
                patch[key] = inner
        elif not _same(before, after, quantities=at == amounts):
            patch[key] = after
    return patch


def _same(before: Any, after: Any, *, quantities: bool) -> bool:
    if quantities and before is not None and after is not None:
        return quantity.equal(before, after)
    return bool(before == after)


def _metadata(existing: Object, desired: Object, *, keep_labels: bool) -> Object:
    old, new = metadata(existing), metadata(desired)
    patch: Object = {}
    labels = {
        key: value
        for key, value in (new.get("labels") or {}).items()
        if (key not in (old.get("labels") or {}) if keep_labels else (old.get("labels") or {}).get(key) != value)
    }
    annotations = {
        key: value
        for key, value in (new.get("annotations") or {}).items()
        if (old.get("annotations") or {}).get(key) != value
    }
    patch |= {"labels": labels} if labels else {}
    patch |= {"annotations": annotations} if annotations else {}
    if (references := _references(existing, desired)) is not None:
        patch["ownerReferences"] = references
    return patch


def _references(existing: Object, desired: Object) -> list[Object] | None:
    """The owner references to write, or None where ours is there.

    A controller reference to a dead predecessor (same kind and name, another uid) is replaced, or garbage collection would take the object
    away again; a living stranger's is left in peace, since an object has one controller at most.
    """
    wanted = controller_of(desired)
    if wanted is None:
        return None
    present: list[Object] = metadata(existing).get("ownerReferences") or []
    if any(reference.get("uid") == wanted["uid"] for reference in present):
        return None
    current = controller_of(existing)
    if current is not None and (current["kind"], current["name"]) != (wanted["kind"], wanted["name"]):
        return None
    return [reference for reference in present if reference is not current] + [wanted]
