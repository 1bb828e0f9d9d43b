"""From API objects to what the page shows: frozen rows, made by pure functions. Nothing here asks anybody anything.

Only names, states, amounts and events come in; no Secret is ever read, so none can come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubeflow_lite import quantity
from kubeflow_lite.objects import Object, metadata, name, namespace
from kubeflow_lite.web import words

MLFLOW = "mlflow-server"
EVENTS = 30


@dataclass(frozen=True)
class Cluster:
    """What was read, as it was read."""

    profiles: Sequence[Object] = ()
    nodes: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    quotas: Sequence[Object] = ()
    deployments: Sequence[Object] = ()
    notebooks: Sequence[Object] = ()
    events: Sequence[Object] = ()


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    good: bool


@dataclass(frozen=True)
class Quota:
    name: str
    share: float
    text: str


@dataclass(frozen=True)
class Tenant:
    profile: str
    namespace: str
    owner: str
    ready: bool
    state: str
    mlflow_ready: bool
    mlflow: str
    pods: str
    cpu: Quota | None
    memory: Quota | None
    notebooks: int


@dataclass(frozen=True)
class Node:
    name: str
    ready: bool
    state: str
    version: str
    cpu: str
    memory: str
    pods: int
    age: str


@dataclass(frozen=True)
class Event:
    age: str
    count: int
    normal: bool
    type: str
    namespace: str
    about: str
    reason: str
    message: str


@dataclass(frozen=True)
class View:
    tiles: tuple[Tile, ...]
    tenants: tuple[Tenant, ...]
    nodes: tuple[Node, ...]
    events: tuple[Event, ...]


def view(cluster: Cluster, *, at: datetime) -> View:
    tenants = tuple(_tenant(profile, cluster) for profile in sorted(cluster.profiles, key=name))
    nodes = tuple(_node(node, cluster.pods, at) for node in sorted(cluster.nodes, key=name))
    return View(_tiles(tenants, nodes, cluster), tenants, nodes, _events(cluster.events, at))


def _tiles(tenants: Sequence[Tenant], nodes: Sequence[Node], cluster: Cluster) -> tuple[Tile, ...]:
    def part(label: str, good: int, of: int) -> Tile:
        return Tile(label, f"{good} / {of}", good == of)

    phases = Counter(_phase(pod) for pod in cluster.pods)
    living = len(cluster.pods) - phases["Succeeded"] - phases["Failed"]
    return (
        part("Tenants ready", sum(one.ready for one in tenants), len(tenants)),
        part("MLflow ready", sum(one.mlflow_ready for one in tenants), len(tenants)),
        part("Pods running", phases["Running"], living),
        part("Nodes ready", sum(one.ready for one in nodes), len(nodes)),
    )


def _tenant(profile: Object, cluster: Cluster) -> Tenant:
    status: Object = profile.get("status") or {}
    where = status.get("namespace") or name(profile)
    ready = _condition(profile, "Ready")
    is_ready = ready.get("status") == "True"
    servers = [one for one in _within(cluster.deployments, where) if name(one) == MLFLOW]
    mlflow_ready, mlflow = _replicas(servers)
    quotas = _within(cluster.quotas, where)
    return Tenant(
        profile=name(profile),
        namespace=where,
        owner=str(((profile.get("spec") or {}).get("owner") or {}).get("name") or "nobody"),
        ready=is_ready,
        state="ready" if is_ready else str(ready.get("message") or "not looked at yet"),
        mlflow_ready=mlflow_ready,
        mlflow=mlflow,
        pods=_phases(_within(cluster.pods, where)),
        cpu=_quota(quotas, "cpu"),
        memory=_quota(quotas, "memory"),
        notebooks=len(_within(cluster.notebooks, where)),
    )


def _replicas(servers: Sequence[Object]) -> tuple[bool, str]:
    if not servers:
        return False, "absent"
    wanted = int(servers[0]["spec"].get("replicas", 1))
    ready = int((servers[0].get("status") or {}).get("readyReplicas") or 0)
    return 0 < wanted <= ready, f"{ready}/{wanted}"


def _phases(pods: Sequence[Object]) -> str:
    counts = Counter(_phase(pod) for pod in pods)
    return ", ".join(f"{count} {phase.lower()}" for phase, count in sorted(counts.items())) or "none"


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _quota(quotas: Sequence[Object], resource: str) -> Quota | None:
    """The tightest of the namespace's quotas; "requests.cpu" counts as "cpu", as it does for Kubernetes."""
    found = [one for quota in quotas if (one := _amounts(quota, resource))]
    if not found:
        return None
    used, hard = max(found, key=lambda pair: quantity.share(*pair))
    in_words = words.cores if resource == "cpu" else words.memory
    return Quota(resource, quantity.share(used, hard), f"{in_words(used)} of {in_words(hard)}")


def _amounts(quota: Object, resource: str) -> tuple[str, str] | None:
    status: Object = quota.get("status") or {}
    hard: Mapping[str, str] = status.get("hard") or quota["spec"].get("hard") or {}
    for key in (resource, f"requests.{resource}"):
        if key in hard:
            return str((status.get("used") or {}).get(key, "0")), str(hard[key])
    return None


def _node(node: Object, pods: Sequence[Object], at: datetime) -> Node:
    ready = _condition(node, "Ready")
    status: Object = node.get("status") or {}
    capacity = status.get("allocatable") or status.get("capacity") or {}
    is_ready = ready.get("status") == "True"
    return Node(
        name=name(node),
        ready=is_ready,
        state="ready" if is_ready else str(ready.get("message") or ready.get("reason") or "not ready"),
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion") or ""),
        cpu=words.cores(str(capacity.get("cpu", "0"))),
        memory=words.memory(str(capacity.get("memory", "0"))),
        pods=sum(1 for pod in pods if pod["spec"].get("nodeName") == name(node)),
        age=words.age(metadata(node).get("creationTimestamp"), at),
    )


def _events(events: Sequence[Object], at: datetime) -> tuple[Event, ...]:
    latest = sorted(events, key=_when, reverse=True)[:EVENTS]
    return tuple(_event(one, at) for one in latest)


def _event(event: Object, at: datetime) -> Event:
    about = event.get("involvedObject") or event.get("regarding") or {}
    kind = str(event.get("type") or "Normal")
    return Event(
        age=words.duration((at - _when(event)).total_seconds()),
        count=int((event.get("series") or {}).get("count") or event.get("count") or 1),
        normal=kind == "Normal",
        type=kind,
        namespace=namespace(event),
        about=f"{about.get('kind', '')}/{about.get('name', '')}",
        reason=str(event.get("reason") or ""),
        message=str(event.get("message") or ""),
    )


def _when(event: Object) -> datetime:
    series: Object = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return words.moment(text or metadata(event).get("creationTimestamp")) or datetime.fromtimestamp(0, UTC)


def _condition(obj: Object, kind: str) -> Object:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def _within(objects: Sequence[Object], where: str) -> list[Object]:
    return [one for one in objects if namespace(one) == where]
