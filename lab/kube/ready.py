"""When an applied object is ready, and, where it is not, why: pure functions of objects."""

from __future__ import annotations

from collections.abc import Sequence

from lab.kube import Object
from lab.messages import t


def missing(item: Object) -> str | None:
    """None when `item` is ready; else what it still lacks, in words."""
    judge = _JUDGES.get(item["kind"])
    return judge(item) if judge else None


def condition(item: Object, name: str) -> Object:
    """The condition of that type, {} where there is none."""
    found = [c for c in item.get("status", {}).get("conditions") or [] if c["type"] == name]
    return found[0] if found else {}


def title(item: Object) -> str:
    """ "Deployment mlflow-server in kubeflow-user01"."""
    meta = item["metadata"]
    return f"{item['kind']} {meta['name']}" + (
        t(" in {namespace}", namespace=meta["namespace"]) if meta.get("namespace") else ""
    )


def _deployment(item: Object) -> str | None:
    status, wanted = item.get("status", {}), item["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 1):
        return t("{title}: not seen by its controller yet", title=title(item))
    if condition(item, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return f"{title(item)}: {condition(item, 'Progressing').get('message', '')}"
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted or updated < wanted:
        return t(
            "{title}: {updated} of {wanted} replicas ready",
            title=title(item),
            updated=min(ready, updated),
            wanted=wanted,
        )
    old = status.get("replicas", 0) - wanted
    return t("{title}: waits for {old} old replicas to end", title=title(item), old=old) if old > 0 else None


def _stateful_set(item: Object) -> str | None:
    ready, wanted = item.get("status", {}).get("readyReplicas", 0), item["spec"].get("replicas", 1)
    return (
        None
        if ready >= wanted
        else t("{title}: {ready} of {wanted} replicas ready", title=title(item), ready=ready, wanted=wanted)
    )


def _job(item: Object) -> str | None:
    return (
        None if condition(item, "Complete").get("status") == "True" else t("{title}: not complete", title=title(item))
    )


def _established(item: Object) -> str | None:
    return (
        None
        if condition(item, "Established").get("status") == "True"
        else t("{title}: not established", title=title(item))
    )


def _profile(item: Object) -> str | None:
    ready = condition(item, "Ready")
    return (
        None
        if ready.get("status") == "True"
        else f"{title(item)}: {ready.get('message') or t('not seen by the operator yet')}"
    )


_JUDGES = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "CustomResourceDefinition": _established,
    "Profile": _profile,
}


def explain(pods: Sequence[Object], events: Sequence[Object]) -> list[str]:
    """Why pods are not running: waiting reasons first, then the latest warnings (at most five lines)."""
    lines = [line for pod in pods for line in _waiting(pod)]
    warnings = sorted((e for e in events if e.get("type") == "Warning"), key=_when, reverse=True)
    lines += [f"{e['involvedObject'].get('name', '')}: {e.get('reason', '')}: {e.get('message', '')}" for e in warnings]
    return list(dict.fromkeys(lines))[:5]


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _waiting(pod: Object) -> list[str]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    lines = []
    for container in states:
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            lines.append(f"{name}/{container['name']}: {waiting['reason']}: {waiting.get('message', '')}")
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        lines.append(f"{name}: {scheduled.get('reason')}: {scheduled.get('message')}")
    return lines
