"""What a Job's status says of its pods: counts, uids on their way into them, and conditions. Pure."""

from __future__ import annotations

from kubesim.controllers.meta import without_zeros
from kubesim.resources import Object


def condition(kind: str, status: str, reason: str, message: str, now: str) -> Object:
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def with_condition(status: Object, new: Object) -> Object:
    """The status with `new` added, or in place of a condition of its type that said something else."""
    conditions = status.get("conditions") or []
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    if old is None:
        return status | {"conditions": [*conditions, new]}
    if old["status"] == new["status"]:
        return status
    return status | {"conditions": [new if c is old else c for c in conditions]}


def uncounted(status: Object) -> tuple[list[str], list[str]]:
    found = status.get("uncountedTerminatedPods") or {}
    return list(found.get("succeeded") or ()), list(found.get("failed") or ())


def lists(succeeded: list[str], failed: list[str]) -> Object:
    return without_zeros({"succeeded": succeeded, "failed": failed})


def settled(status: Object, held: set[str]) -> Object:
    """Move uids whose pods carry no finalizer any more into the counts."""
    succeeded, failed = uncounted(status)
    counted = [sum(uid not in held for uid in uids) for uids in (succeeded, failed)]
    moved = {
        "succeeded": (status.get("succeeded") or 0) + counted[0],
        "failed": (status.get("failed") or 0) + counted[1],
        "uncountedTerminatedPods": lists([u for u in succeeded if u in held], [u for u in failed if u in held]),
    }
    return {name: value for name, value in (status | moved).items() if value or name not in ("succeeded", "failed")}


def trimmed(status: Object, job: Object) -> Object:
    """Go's omitempty for the fields this module writes."""
    optional = ("active", "succeeded", "failed", "completedIndexes", "failedIndexes")
    return {name: value for name, value in status.items() if value or name not in optional}
