"""From API objects to what the pages show: frozen rows, made by pure functions. Nothing here asks anybody anything.

Only names, states, amounts and events come in; no Secret is ever read, so none can come out. Times stay as Kubernetes writes them, and the
page counts their ages: a row changes when the cluster does, and not with every second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubeflow_lite import quantity
from kubeflow_lite.objects import Object, annotation, labels, metadata, name, namespace
from kubeflow_lite.web import words

MLFLOW = "mlflow-server"
USER = "mlops-lab/user"
EVENTS = 10
STOPPED = "kubeflow-resource-stopped"


@dataclass(frozen=True)
class Quota:
    """`share` is used as a part of hard, 0 to 1."""

    resource: str
    share: float
    used: str
    hard: str


@dataclass(frozen=True)
class Person:
    """One tenant, as the Profile says. `num` is '' where the Profile is not the lab's."""

    num: str
    profile: str
    namespace: str
    owner: str
    ready: bool
    message: str


@dataclass(frozen=True)
class Pods:
    running: int
    waiting: int
    failed: int


@dataclass(frozen=True)
class Use:
    """What a tenant has and uses. `mlflow` is "ready", "absent", or "1/2"."""

    person: Person
    pods: Pods
    mlflow_ready: bool
    mlflow: str
    cpu: Quota | None
    memory: Quota | None
    notebooks: int


@dataclass(frozen=True)
class Pod:
    """`state` in Kubernetes's words, but for running_not_ready, which is ours."""

    name: str
    good: bool
    state: str
    restarts: int
    since: str


@dataclass(frozen=True)
class Notebook:
    """`path` is where the dashboard hands it through."""

    name: str
    namespace: str
    ready: bool
    state: str
    path: str


@dataclass(frozen=True)
class Node:
    """`used` amounts are None where nothing measures them."""

    name: str
    ready: bool
    message: str
    version: str
    cpu: Quota | None
    memory: Quota | None
    capacity: str
    pods: int
    since: str


@dataclass(frozen=True)
class Event:
    at: str
    count: int
    normal: bool
    type: str
    namespace: str
    about: str
    reason: str
    message: str


def people(profiles: Sequence[Object]) -> tuple[Person, ...]:
    found = (_person(profile) for profile in profiles)
    return tuple(sorted(found, key=lambda one: (one.num == "", one.num, one.profile)))


def _person(profile: Object) -> Person:
    status: Object = profile.get("status") or {}
    ready = condition(profile, "Ready")
    return Person(
        num=labels(profile).get(USER, ""),
        profile=name(profile),
        namespace=str(status.get("namespace") or name(profile)),
        owner=str(((profile.get("spec") or {}).get("owner") or {}).get("name") or ""),
        ready=ready.get("status") == "True",
        message=str(ready.get("message") or ""),
    )


def use(
    person: Person,
    *,
    pods: Sequence[Object],
    quotas: Sequence[Object],
    deployments: Sequence[Object],
    notebooks: Sequence[Object],
) -> Use:
    """All of one namespace."""
    ready, mlflow = _replicas([one for one in deployments if name(one) == MLFLOW])
    return Use(
        person=person,
        pods=count(pods),
        mlflow_ready=ready,
        mlflow=mlflow,
        cpu=_tightest(quotas, "cpu"),
        memory=_tightest(quotas, "memory"),
        notebooks=len(notebooks),
    )


def count(pods: Sequence[Object]) -> Pods:
    phases = Counter(_phase(pod) for pod in pods)
    return Pods(phases["Running"], phases["Pending"] + phases["Unknown"], phases["Failed"])


def _replicas(servers: Sequence[Object]) -> tuple[bool, str]:
    if not servers:
        return False, "absent"
    wanted = int(servers[0]["spec"].get("replicas", 1))
    ready = int((servers[0].get("status") or {}).get("readyReplicas") or 0)
    good = 0 < wanted <= ready
    return good, "ready" if good else f"{ready}/{wanted}"


def pods(found: Sequence[Object]) -> tuple[Pod, ...]:
    return tuple(sorted((_pod(one) for one in found), key=lambda pod: (pod.good, pod.name)))


def _pod(pod: Object) -> Pod:
    status: Object = pod.get("status") or {}
    containers: Sequence[Object] = status.get("containerStatuses") or []
    phase = _phase(pod)
    waiting = next((reason for one in containers if (reason := _waiting(one))), "")
    ready = condition(pod, "Ready").get("status") == "True"
    state = waiting or ("Terminating" if metadata(pod).get("deletionTimestamp") else phase)
    if state == "Pending" and (why := condition(pod, "PodScheduled")).get("status") == "False":
        state = f"Pending: {why.get('message') or why.get('reason') or ''}".rstrip(": ")
    return Pod(
        name=name(pod),
        good=phase == "Succeeded" or (phase == "Running" and ready and not waiting),
        state=state if ready or state != "Running" else "running_not_ready",
        restarts=sum(int(one.get("restartCount") or 0) for one in containers),
        since=str(status.get("startTime") or metadata(pod).get("creationTimestamp") or ""),
    )


def _waiting(container: Object) -> str:
    return str(((container.get("state") or {}).get("waiting") or {}).get("reason") or "")


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def notebooks(found: Sequence[Object]) -> tuple[Notebook, ...]:
    return tuple(sorted((_notebook(one) for one in found), key=lambda one: one.name))


def _notebook(notebook: Object) -> Notebook:
    status: Object = notebook.get("status") or {}
    ready = int(status.get("readyReplicas") or 0) > 0
    stopped = annotation(notebook, STOPPED) is not None
    waiting = _waiting({"state": status.get("containerState") or {}})
    refused = next((str(one.get("message") or "") for one in status.get("conditions") or [] if one.get("reason")), "")
    state = "stopped" if stopped else "ready" if ready else waiting or refused or "starting"
    path = f"/notebook/{namespace(notebook)}/{name(notebook)}/lab"
    return Notebook(name(notebook), namespace(notebook), ready and not stopped, state, path)


def _tightest(quotas: Sequence[Object], resource: str) -> Quota | None:
    """The tightest of the namespace's quotas; "requests.cpu" counts as "cpu", as it does for Kubernetes."""
    found = [one for quota in quotas if (one := _amounts(quota, resource))]
    if not found:
        return None
    used, hard = max(found, key=lambda pair: quantity.share(*pair))
    return _quota(resource, used, hard)


def _quota(resource: str, used: str, hard: str) -> Quota:
    in_words = words.cores if resource == "cpu" else words.memory
    return Quota(resource, round(quantity.share(used, hard), 3), in_words(used), in_words(hard))


def _amounts(quota: Object, resource: str) -> tuple[str, str] | None:
    status: Object = quota.get("status") or {}
    hard: Mapping[str, str] = status.get("hard") or (quota.get("spec") or {}).get("hard") or {}
    for key in (resource, f"requests.{resource}"):
        if key in hard:
            return str((status.get("used") or {}).get(key, "0")), str(hard[key])
    return None


def nodes(found: Sequence[Object], pods: Sequence[Object], usage: Mapping[str, Object]) -> tuple[Node, ...]:
    """`usage` is metrics.k8s.io's, by the node's name."""
    crowd = Counter(str((pod.get("spec") or {}).get("nodeName") or "") for pod in pods)
    return tuple(_node(one, crowd[name(one)], usage.get(name(one)) or {}) for one in sorted(found, key=name))


def _node(node: Object, crowd: int, usage: Object) -> Node:
    ready = condition(node, "Ready")
    status: Object = node.get("status") or {}
    capacity = status.get("allocatable") or status.get("capacity") or {}
    cpu, memory = str(capacity.get("cpu", "0")), str(capacity.get("memory", "0"))
    return Node(
        name=name(node),
        ready=ready.get("status") == "True",
        message=str(ready.get("message") or ready.get("reason") or ""),
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion") or ""),
        cpu=_quota("cpu", str(usage["cpu"]), cpu) if "cpu" in usage else None,
        memory=_quota("memory", str(usage["memory"]), memory) if "memory" in usage else None,
        capacity=f"{words.cores(cpu)} CPU, {words.memory(memory)}",
        pods=crowd,
        since=str(metadata(node).get("creationTimestamp") or ""),
    )


def events(found: Sequence[Object], most: int = EVENTS) -> tuple[Event, ...]:
    """The latest first."""
    return tuple(_event(one) for one in sorted(found, key=_when, reverse=True)[:most])


def _event(event: Object) -> Event:
    about = event.get("involvedObject") or event.get("regarding") or {}
    kind = str(event.get("type") or "Normal")
    return Event(
        at=_when(event),
        count=int((event.get("series") or {}).get("count") or event.get("count") or 1),
        normal=kind == "Normal",
        type=kind,
        namespace=namespace(event),
        about=f"{about.get('kind', '')}/{about.get('name', '')}",
        reason=str(event.get("reason") or ""),
        message=str(event.get("message") or event.get("note") or ""),
    )


def _when(event: Object) -> str:
    """RFC 3339 in UTC sorts as text, to the second."""
    series: Object = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(text or metadata(event).get("creationTimestamp") or "")


def condition(obj: Object, kind: str) -> Object:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})
