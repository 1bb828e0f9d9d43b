"""A Profile's conditions. Pure.

Stock Kubeflow knows Failed only. Ready (True or False, with reason and message) is ours: the course's own check waits for it. So is
`status.namespace`, which saves every reader from knowing how the lab names namespaces.
"""

from __future__ import annotations

from kubeflow_lite.objects import Object, annotation, controlled_by, deleting, merge_conditions, name
from kubeflow_lite.profiles.desired import OWNER, owner_name


def obstacle(profile: Object, namespace: Object | None) -> str:
    """Why the namespace that is there may not be touched for this Profile, or ''. The first sentence is stock's, word for word."""
    if namespace is None:
        return ""
    if annotation(namespace, OWNER) != owner_name(profile):
        return f"namespace already exist, but not owned by profile creator {owner_name(profile)}"
    holder = controlled_by(namespace, "Profile")
    return (
        f"namespace {name(namespace)} already belongs to Profile {holder}" if holder not in ("", name(profile)) else ""
    )


def ready(namespace: str) -> list[Object]:
    return [_condition("Ready", "True", "NamespaceReady", f"namespace {namespace} is set up")]


def failed(message: str) -> list[Object]:
    return [
        _condition("Failed", "True", "NamespaceNotOwned", message),
        _condition("Ready", "False", "NamespaceNotOwned", message),
    ]


def waiting(reason: str, message: str) -> list[Object]:
    return [_condition("Ready", "False", reason, message)]


def terminating(namespace: Object | None) -> bool:
    return namespace is not None and deleting(namespace)


def status(profile: Object, namespace: str, conditions: list[Object], *, at: str) -> Object | None:
    """The new status, or None where the Profile's says this already (so that writing it never wakes us again)."""
    old: Object = profile.get("status") or {}
    new = {"namespace": namespace, "conditions": merge_conditions(old.get("conditions") or [], conditions, at=at)}
    return None if {key: old.get(key) for key in new} == new else new


def _condition(kind: str, value: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": value, "reason": reason, "message": message}
