"""How a rollout comes along: when it is complete, when it has run out of time, and what the Deployment's status says of it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from kubesim.controllers.clock import parse, stamp
from kubesim.controllers.meta import find_condition, without_zeros
from kubesim.controllers.rollout import counted, max_unavailable, replicas_of, total
from kubesim.resources import Object


def is_complete(deployment: Object, status: Object) -> bool:
    wanted = replicas_of(deployment)
    counts = [status.get(f) or 0 for f in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [wanted] * 3 and (status.get("observedGeneration") or 0) >= deployment["metadata"].get(
        "generation", 0
    )


def is_progressing(deployment: Object, status: Object) -> bool:
    """Whether `status` is a step ahead of what the Deployment's own status says."""

    def of(body: Object, field: str) -> int:
        return int(body.get(field) or 0)

    before = deployment.get("status") or {}
    grew = any(of(status, f) > of(before, f) for f in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grew or of(status, "replicas") - of(status, "updatedReplicas") < of(before, "replicas") - of(
        before, "updatedReplicas"
    )


def deadline(deployment: Object) -> int | None:
    """progressDeadlineSeconds, or None where there is no deadline (kubectl writes the largest int32 for that)."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds >= 2**31 - 1 else int(seconds)


def is_timed_out(deployment: Object, now: datetime) -> bool:
    seconds = deadline(deployment)
    current = find_condition((deployment.get("status") or {}).get("conditions") or (), "Progressing")
    if seconds is None or current is None or current["reason"] == "NewReplicaSetAvailable":
        return False
    if current["reason"] == "ProgressDeadlineExceeded":
        return True
    return parse(current["lastUpdateTime"]) + timedelta(seconds=seconds) < now


def new_condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A Deployment's condition: unlike others' it has a lastUpdateTime too."""
    at = stamp(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }


def put_condition(conditions: Sequence[Object], new: Object) -> list[Object]:
    """Set a condition as the deployment controller does: same status and reason change nothing, a change moves it to the end."""
    old = find_condition(conditions, new["type"])
    if old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"]):
        return list(conditions)
    if old is not None and old["status"] == new["status"]:
        new = new | {"lastTransitionTime": old["lastTransitionTime"]}
    return [*without_condition(conditions, new["type"]), new]


def without_condition(conditions: Sequence[Object], kind: str) -> list[Object]:
    return [c for c in conditions if c["type"] != kind]


def counts(deployment: Object, new: Object | None, sets: Sequence[Object], now: datetime) -> Object:
    """The status without its Progressing and ReplicaFailure conditions."""
    available = sum(counted(s, "availableReplicas") for s in sets)
    before = deployment.get("status") or {}
    enough = available >= replicas_of(deployment) - max_unavailable(deployment)
    availability = (
        new_condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
        if enough
        else new_condition(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now
        )
    )
    status = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": sum(counted(s, "replicas") for s in sets),
        "updatedReplicas": counted(new, "replicas") if new else 0,
        "readyReplicas": sum(counted(s, "readyReplicas") for s in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(sets) - available),
        "terminatingReplicas": sum(counted(s, "terminatingReplicas") for s in sets),
        "collisionCount": before.get("collisionCount") or 0,
        "conditions": put_condition(before.get("conditions") or [], availability),
    }
    return without_zeros(status, keep=("terminatingReplicas",))


def rollout_status(deployment: Object, new: Object | None, sets: Sequence[Object], now: datetime) -> Object:
    """The whole status of a Deployment that is being rolled out."""
    status = counts(deployment, new, sets, now)
    conditions = status["conditions"]
    current = find_condition(conditions, "Progressing")
    finished = current is not None and current["reason"] == "NewReplicaSetAvailable"
    if deadline(deployment) is None:
        conditions = without_condition(conditions, "Progressing")
    elif not (finished and (status.get("replicas") or 0) == (status.get("updatedReplicas") or 0)):
        conditions = _progressing(deployment, status, new, now)
    failure = next(
        (c for s in [*([new] if new else []), *sets] for c in (s.get("status") or {}).get("conditions") or ()), None
    )
    if failure is None:
        conditions = without_condition(conditions, "ReplicaFailure")
    else:
        moved = new_condition("ReplicaFailure", failure["status"], failure["reason"], failure["message"], now)
        conditions = put_condition(conditions, moved)
    return status | {"conditions": conditions}


def _progressing(deployment: Object, status: Object, new: Object | None, now: datetime) -> list[Object]:
    conditions: list[Object] = status["conditions"]
    name = deployment["metadata"]["name"]
    who = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{name}"'
    if is_complete(deployment, status):
        done = new_condition(
            "Progressing", "True", "NewReplicaSetAvailable", f"{who} has successfully progressed.", now
        )
        return put_condition(conditions, done)
    if is_progressing(deployment, status):
        moving = new_condition("Progressing", "True", "ReplicaSetUpdated", f"{who} is progressing.", now)
        current = find_condition(conditions, "Progressing")
        if current is not None and current["status"] == "True":
            moving["lastTransitionTime"] = current["lastTransitionTime"]
        return [*without_condition(conditions, "Progressing"), moving]
    if is_timed_out(deployment, now):
        late = new_condition(
            "Progressing", "False", "ProgressDeadlineExceeded", f"{who} has timed out progressing.", now
        )
        return put_condition(conditions, late)
    return conditions
