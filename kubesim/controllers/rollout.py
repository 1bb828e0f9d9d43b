"""The arithmetic of a Deployment: which ReplicaSet is new, how far each may be scaled, what the status says. Pure functions.

The rules are those of Kubernetes's deployment controller, function for function, so that a rollout goes through the same steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from kubesim.controllers.meta import annotations_of, created, digest, encode
from kubesim.resources import Object

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
}


def replicas_of(obj: Object) -> int:
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def counted(obj: Object, field: str) -> int:
    """A number in the status; absent is zero."""
    return int((obj.get("status") or {}).get(field) or 0)


def total(sets: Iterable[Object]) -> int:
    return sum(map(replicas_of, sets))


def active(sets: Iterable[Object]) -> list[Object]:
    return [s for s in sets if replicas_of(s) > 0]


def revision_of(obj: Object) -> int:
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def percent(value: int | str, of: int, *, up: bool) -> int:
    """An int-or-percent against a total."""
    if isinstance(value, str) and value.endswith("%"):
        product = int(value[:-1]) * of
        return -(-product // 100) if up else product // 100
    return int(value)


def is_rolling(deployment: Object) -> bool:
    strategy: Object = deployment["spec"].get("strategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods; never both zero, or nothing could move."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = percent(rolling.get("maxSurge", "25%"), replicas_of(deployment), up=True)
    unavailable = percent(rolling.get("maxUnavailable", "25%"), replicas_of(deployment), up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def max_surge(deployment: Object) -> int:
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    if not is_rolling(deployment) or replicas_of(deployment) == 0:
        return 0
    return min(fenceposts(deployment)[1], replicas_of(deployment))


# which ReplicaSet is which


def without_hash(template: Object) -> Object:
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH}
    kept = {k: v for k, v in metadata.items() if k not in ("labels", "creationTimestamp")}
    return {"metadata": kept | {"labels": labels}, "spec": template["spec"]}


def template_hash(deployment: Object) -> str:
    collisions = (deployment.get("status") or {}).get("collisionCount") or 0
    return encode(digest([without_hash(deployment["spec"]["template"]), collisions]))


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet of the current template: the oldest, where there are several."""
    wanted = without_hash(deployment["spec"]["template"])
    for each in sorted(sets, key=by_age):
        if without_hash(each["spec"]["template"]) == wanted:
            return each
    return None


def by_age(obj: Object) -> tuple[datetime, str]:
    return created(obj), obj["metadata"]["name"]


def find_active_or_latest(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The one ReplicaSet to scale where at most one is active."""
    running = active([*old, *([new] if new else [])])
    if len(running) > 1:
        return None
    if running:
        return running[0]
    return new or max(old, key=by_age, default=None)


def is_saturated(deployment: Object, new: Object | None) -> bool:
    if new is None:
        return False
    wanted = replicas_of(deployment)
    desired = annotations_of(new).get(DESIRED)
    return desired == str(wanted) and replicas_of(new) == wanted == counted(new, "availableReplicas")


def is_scaling(deployment: Object, sets: Iterable[Object]) -> bool:
    """Whether spec.replicas changed since the ReplicaSets were last scaled."""
    wanted = str(replicas_of(deployment))
    return any(annotations_of(s).get(DESIRED, wanted) != wanted for s in active(sets))


def copied_annotations(deployment: Object) -> dict[str, str]:
    return {k: v for k, v in annotations_of(deployment).items() if k not in NOT_COPIED}


def size_annotations(deployment: Object) -> dict[str, str]:
    wanted = replicas_of(deployment)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + max_surge(deployment))}


def revised_annotations(deployment: Object, new: Object, revision: int) -> dict[str, str]:
    """The annotations of an existing new ReplicaSet: the Deployment's, and a revision that only grows and remembers what it was."""
    found = annotations_of(new) | copied_annotations(deployment)
    current = revision_of(new)
    if current < revision:
        if current:
            history = [r for r in found.get(HISTORY, "").split(",") if r]
            found[HISTORY] = ",".join([*history, str(current)])
        found[REVISION] = str(revision)
    return found


# how far each may go


def new_size(deployment: Object, sets: Sequence[Object], current: int) -> int:
    """How many replicas the new ReplicaSet, now at `current`, may have."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - total(sets)
    return current if room <= 0 else current + min(room, wanted - current)


def old_sizes(deployment: Object, new: Object, old: Sequence[Object]) -> dict[str, int]:
    """New sizes (by name) for old ReplicaSets that may shrink: first replicas that are not available, then as availability allows."""
    everything = [*old, new]
    minimum = replicas_of(deployment) - max_unavailable(deployment)
    budget = total(everything) - minimum - (replicas_of(new) - counted(new, "availableReplicas"))
    if not total(old) or budget <= 0:
        return {}
    sizes = {s["metadata"]["name"]: replicas_of(s) for s in old}
    for each in sorted(old, key=by_age):
        name = each["metadata"]["name"]
        unhealthy = min(budget, max(0, sizes[name] - counted(each, "availableReplicas")))
        sizes[name], budget = sizes[name] - unhealthy, budget - unhealthy
    spare = sum(counted(s, "availableReplicas") for s in everything) - minimum
    for each in sorted(old, key=by_age):
        name = each["metadata"]["name"]
        fewer = max(0, min(spare, sizes[name]))
        sizes[name], spare = sizes[name] - fewer, spare - fewer
    return {
        s["metadata"]["name"]: sizes[s["metadata"]["name"]]
        for s in old
        if sizes[s["metadata"]["name"]] != replicas_of(s)
    }


def proportional_sizes(deployment: Object, sets: Sequence[Object]) -> list[tuple[Object, int]]:
    """Spread a change of spec.replicas in mid-rollout over the active ReplicaSets, by their size; the largest takes the remainder."""
    wanted = replicas_of(deployment)
    allowed = wanted + max_surge(deployment) if wanted else 0
    change = allowed - total(sets)
    newer_first = 1 if change > 0 else -1
    ordered = sorted(sets, key=lambda s: (-replicas_of(s), -newer_first * created(s).timestamp()))
    sizes, added = [], 0
    for each in ordered:
        share = _share(deployment, each, change, added)
        sizes.append(replicas_of(each) + share)
        added += share
    if sizes and change:
        sizes[0] = max(0, sizes[0] + change - added)
    return list(zip(ordered, sizes, strict=True))


def _share(deployment: Object, each: Object, change: int, added: int) -> int:
    if change in (0, added) or not replicas_of(each):
        return 0
    fraction = _fraction(deployment, each)
    return min(fraction, change - added) if change > 0 else max(fraction, change - added)


def _fraction(deployment: Object, each: Object) -> int:
    size, wanted = replicas_of(each), replicas_of(deployment)
    if wanted == 0:
        return -size
    before = int(annotations_of(each).get(MAXIMUM) or counted(deployment, "replicas") or size)
    return int(size * (wanted + max_surge(deployment)) / before + 0.5) - size
