"""A Notebook's status mirrors its StatefulSet's ready replicas and its pod's conditions and container state. Pure."""

from __future__ import annotations

from kubeflow_lite.objects import Object, merge_conditions, name

_KEPT = ("type", "status", "reason", "message", "lastProbeTime", "lastTransitionTime")


def mirrored(notebook: Object, stateful_set: Object | None, pod: Object | None) -> Object:
    pod_status: Object = (pod or {}).get("status") or {}
    conditions = [
        {key: condition[key] for key in _KEPT if condition.get(key)} for condition in pod_status.get("conditions") or []
    ]
    return {
        "readyReplicas": int(((stateful_set or {}).get("status") or {}).get("readyReplicas") or 0),
        "containerState": _container_state(notebook, pod_status),
        "conditions": conditions,
    }


def refused(notebook: Object, reason: str, message: str, *, at: str) -> Object:
    """The status of a Notebook whose objects could not be made."""
    condition = {"type": "Ready", "status": "False", "reason": reason, "message": message}
    old = (notebook.get("status") or {}).get("conditions") or []
    return {"readyReplicas": 0, "containerState": {}, "conditions": merge_conditions(old, [condition], at=at)}


def change(notebook: Object, status: Object) -> Object | None:
    """The merge patch to the status, or None. containerState is replaced whole: running and waiting exclude each other."""
    old: Object = notebook.get("status") or {}
    if {key: old.get(key) for key in status} == status:
        return None
    gone = {state: None for state in old.get("containerState") or {} if state not in status["containerState"]}
    return {"status": {**status, "containerState": {**gone, **status["containerState"]}}}


def _container_state(notebook: Object, pod_status: Object) -> Object:
    """Of the container that is called as the Notebook (as in stock), else of the first."""
    states = pod_status.get("containerStatuses") or []
    named = [one for one in states if one.get("name") == name(notebook)]
    state: Object = (named or states or [{}])[0].get("state") or {}
    return state
