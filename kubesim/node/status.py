"""A pod's status, computed from its spec and its containers: pure, in the words of the kubelet of Kubernetes 1.36."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kubesim.resources import Object

Role = Literal["init", "sidecar", "main"]


@dataclass
class Run:
    """One start of a container."""

    id: str
    attempt: int
    started_at: str = ""
    finished_at: str = ""
    exit_code: int | None = None
    signal: int = 0
    reason: str = ""
    message: str = ""

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def terminated(self) -> Object:
        body: Object = {"exitCode": self.exit_code, "reason": self.reason}
        if self.message:
            body["message"] = self.message
        body |= {"startedAt": seconds(self.started_at) or None, "finishedAt": seconds(self.finished_at) or None}
        return {"terminated": body | {"containerID": f"containerd://{self.id}"}}


@dataclass
class Container:
    """What the node knows of one container of a pod."""

    spec: Object
    role: Role
    run: Run | None = None
    previous: Run | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    waiting: tuple[str, str] = ("", "")
    image: str = ""
    image_id: str = ""
    backoff: float = 0.0
    retry_at: float = 0.0
    adopted: bool = False
    starting: bool = False
    """From the moment that it has a run until its postStart hook has ended: Kubernetes shows such a container as waiting."""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        return self.run is not None and self.run.running

    @property
    def ended(self) -> bool:
        return self.run is not None and not self.run.running

    @property
    def succeeded(self) -> bool:
        return self.run is not None and self.run.exit_code == 0


def seconds(stamp: str) -> str:
    """A time with nanoseconds as the API writes it."""
    return stamp.partition(".")[0].rstrip("Z") + "Z" if stamp else ""


def roles(pod: Object) -> list[tuple[Object, Role]]:
    """The pod's containers in the order they start."""
    found: list[tuple[Object, Role]] = []
    for spec in pod["spec"].get("initContainers") or []:
        found.append((spec, "sidecar" if spec.get("restartPolicy") == "Always" else "init"))
    return found + [(spec, "main") for spec in pod["spec"]["containers"]]


def container_status(container: Container, default_waiting: str) -> Object:
    """One entry of containerStatuses."""
    state, last = _state(container, default_waiting), container.previous
    in_backoff = "waiting" in state and container.ended
    if in_backoff:
        last = container.run
    body: Object = {
        "name": container.name,
        "state": state,
        "lastState": last.terminated() if last is not None and not last.running else {},
        "ready": container.ready and container.running if container.role != "init" else container.succeeded,
        "restartCount": container.restarts,
        "image": container.image or container.spec["image"],
        "imageID": container.image_id,
        "started": container.started and container.running,
    }
    if container.run is not None and not container.starting:
        body["containerID"] = f"containerd://{container.run.id}"
        body["resources"] = container.spec.get("resources") or {}
        requests = (container.spec.get("resources") or {}).get("requests")
        if requests:
            body["allocatedResources"] = requests
    if mounts := container.spec.get("volumeMounts"):
        body["volumeMounts"] = [_mount(mount) for mount in mounts]
    return body


def _mount(mount: Object) -> Object:
    body = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return body | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def _state(container: Container, default_waiting: str) -> Object:
    if container.waiting[0]:
        reason, message = container.waiting
        return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    if container.run is None or container.starting:
        return {"waiting": {"reason": default_waiting}}
    if container.run.running:
        return {"running": {"startedAt": seconds(container.run.started_at)}}
    return container.run.terminated()


def phase(containers: Sequence[Container], restart_policy: str) -> str:
    """Pending until every container has been started, then Running until none will run again."""
    init = [one for one in containers if one.role == "init"]
    mains = [one for one in containers if one.role == "main"]
    if restart_policy == "Never" and any(one.ended and not one.succeeded and not one.waiting[0] for one in init):
        return "Failed"
    if any(one.run is None or (one.starting and not one.restarts) for one in mains):
        return "Pending"
    if any(one.running or one.waiting[0] for one in mains):
        return "Running"
    if restart_policy == "Always":
        return "Running"
    if all(one.succeeded for one in mains):
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


@dataclass(frozen=True)
class View:
    """What a pod's status is computed from. `taken` is when the node first saw the pod; `final` is the phase (Succeeded or Failed) that was decided,
    with its reason and message."""

    pod: Object
    containers: Sequence[Container]
    address: str
    host: str
    now: str
    sandbox: bool
    taken: str
    final: tuple[str, str, str] = ("", "", "")
    deleting: bool = False


def pod_status(view: View) -> Object:
    """The whole status as the node sees it; conditions of others are kept as they are."""
    old = view.pod.get("status") or {}
    policy = view.pod["spec"].get("restartPolicy", "Always")
    current = view.final[0] or phase(view.containers, policy)
    waiting = "ContainerCreating" if _initialized(view) else "PodInitializing"
    body: Object = {
        "observedGeneration": view.pod["metadata"].get("generation", 1),
        "phase": current,
        "hostIP": view.host,
        "hostIPs": [{"ip": view.host}],
        "startTime": old.get("startTime") or view.taken,
    }
    if view.address:
        body |= {"podIP": view.address, "podIPs": [{"ip": view.address}]}
    if view.final[1]:
        body |= {"reason": view.final[1], "message": view.final[2]}
    mains = [container_status(one, waiting) for one in view.containers if one.role == "main"]
    inits = [container_status(one, "PodInitializing") for one in view.containers if one.role != "main"]
    body["containerStatuses"] = mains
    if inits:
        body["initContainerStatuses"] = inits
    body["conditions"] = _conditions(view, current)
    return body


def _initialized(view: View) -> bool:
    return all(one.succeeded if one.role == "init" else one.started for one in view.containers if one.role != "main")


def _conditions(view: View, current: str) -> list[Object]:
    old = {one["type"]: one for one in (view.pod.get("status") or {}).get("conditions") or []}
    finished = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(current, "")
    unready = [one.name for one in view.containers if one.role != "init" and not (one.ready and one.running)]
    pending = [one.name for one in view.containers if one.role == "init" and not one.succeeded]
    message = f"containers with unready status: [{' '.join(unready)}]" if unready else ""
    if finished:
        ready = ("False", finished, "")
    elif unready:
        ready = ("False", "ContainersNotReady", message)
    else:
        ready = ("True", "", "")
    gates = [gate["conditionType"] for gate in view.pod["spec"].get("readinessGates") or []]
    closed = [gate for gate in gates if (old.get(gate) or {}).get("status") != "True"]
    whole = ready
    if ready[0] == "True" and closed:
        whole = (
            "False",
            "ReadinessGatesNotReady",
            f'the status of pod readiness gate "{closed[0]}" is not "True", but False',
        )
    if (pending and current == "Failed") or (pending and not finished):
        initialized = ("False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(pending)}]")
    else:
        initialized = ("True", "PodCompleted" if current == "Succeeded" else "", "")
    wanted = {
        "PodReadyToStartContainers": ("True" if view.sandbox and not finished else "False", "", ""),
        "Initialized": initialized,
        "Ready": whole,
        "ContainersReady": ready,
    }
    generation = view.pod["metadata"].get("generation", 1)
    found = [_condition(old.get(kind), kind, value, view.now, generation) for kind, value in wanted.items()]
    return found + [one for kind, one in old.items() if kind not in wanted]


def _condition(old: Object | None, kind: str, value: tuple[str, str, str], now: str, generation: int) -> Object:
    status, reason, message = value
    since = old["lastTransitionTime"] if old and old["status"] == status else now
    body: dict[str, Any] = {
        "type": kind,
        "observedGeneration": generation,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
    return body | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def restart_wanted(container: Container, policy: str) -> bool:
    """Whether a container that ended is to run again. A container's own restart policy (sidecars) goes before the pod's."""
    if container.role == "sidecar":
        return True
    if container.role == "init":
        return policy != "Never" and not container.succeeded
    return policy == "Always" or (policy == "OnFailure" and not container.succeeded)
