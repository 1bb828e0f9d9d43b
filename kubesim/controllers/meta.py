"""Reading metadata, conditions and pods: small questions every controller asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from kubesim.controllers.clock import Clock, parse
from kubesim.resources import Object

SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
"""The letters generated names are made of: no vowels, no look-alikes."""


def deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def finalizers_of(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def created(obj: Object) -> datetime:
    return parse(obj["metadata"]["creationTimestamp"])


def controller_of(obj: Object) -> Object | None:
    """The owner reference marked `controller`."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def with_metadata(obj: Object, **changes: object) -> Object:
    """A copy with some of its metadata replaced; a field set to None is removed."""
    metadata = {k: v for k, v in (obj["metadata"] | changes).items() if v is not None}
    return obj | {"metadata": metadata}


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of that type in an object's status."""
    return find_condition((obj.get("status") or {}).get("conditions") or (), kind)


def find_condition(conditions: Iterable[Object], kind: str) -> Object | None:
    return next((c for c in conditions if c["type"] == kind), None)


def is_true(obj: Object, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def set_condition(conditions: Sequence[Object], new: Object) -> list[Object]:
    """The conditions with `new` in place of its type's; an unchanged status keeps its transition time, an equal one keeps everything."""
    old = find_condition(conditions, new["type"])
    if old is None:
        return [*conditions, new]
    if all(old.get(name) == new.get(name) for name in ("status", "reason", "message")):
        return list(conditions)
    if old["status"] == new["status"] and "lastTransitionTime" in old:
        new = new | {"lastTransitionTime": old["lastTransitionTime"]}
    return [new if c["type"] == new["type"] else c for c in conditions]


def without_zeros(status: Object, keep: Iterable[str] = ()) -> Object:
    """Go's omitempty: a status without empty fields, except those in `keep`."""
    kept = set(keep)
    return {name: value for name, value in status.items() if value or name in kept}


# pods


def is_ready(pod: Object) -> bool:
    return is_true(pod, "Ready")


def is_active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return not is_finished(pod) and not deleting(pod)


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def ready_since(pod: Object) -> datetime | None:
    found = condition(pod, "Ready")
    if found is None or found["status"] != "True" or not found.get("lastTransitionTime"):
        return None
    return parse(found["lastTransitionTime"])


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least `min_ready_seconds`."""
    if not is_ready(pod):
        return False
    if not min_ready_seconds:
        return True
    since = ready_since(pod)
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def seconds_until_available(pods: Iterable[Object], min_ready_seconds: int, clock: Clock) -> float | None:
    """When the next ready pod becomes available, or None where there is nothing to wait for."""
    if not min_ready_seconds:
        return None
    now = clock.now()
    waits = [
        (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
        for since in map(ready_since, pods)
        if since is not None
    ]
    return min((wait for wait in waits if wait > 0), default=None)


def encode(number: int) -> str:
    """`rand.SafeEncodeString` of a decimal number: how Kubernetes writes hashes into names."""
    return "".join(SUFFIX[ord(digit) % len(SUFFIX)] for digit in str(number))


def digest(value: object) -> int:
    """32 bits that stand for a JSON value, the same in every process. Kubernetes uses FNV over Go's memory layout; nobody can depend on that."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big")
