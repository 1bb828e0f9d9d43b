"""Pods: the status column is worked out from phase, conditions and what the containers say of themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import AGE, NAME, NONE, Column, age, labels, moment, name_of, since, template

COLUMNS = [
    NAME,
    Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", "The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    ),
    AGE,
    Column("IP", "core.v1.PodStatus.podIP", wide=True),
    Column("Node", "core.v1.PodSpec.nodeName", wide=True),
    Column("Nominated Node", "core.v1.PodStatus.nominatedNodeName", wide=True),
    Column("Readiness Gates", "core.v1.PodSpec.readinessGates", wide=True),
]
TEMPLATE_COLUMNS = [
    NAME,
    Column("Containers", "Names of each container in the template."),
    Column("Images", "Images referenced by each container in the template."),
    Column("Pod Labels", "The labels for the pod template."),
]


def cells(pod: Object, now: datetime) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    view = _View(pod)
    addresses = status.get("podIPs") or ()
    address = (addresses[0].get("ip") if addresses else status.get("podIP")) or NONE
    return [
        name_of(pod),
        f"{view.ready}/{view.total}",
        view.reason,
        view.restart_text(now),
        age(pod, now),
        address,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def _gates(spec: Object, status: Object) -> str:
    gates = [each.get("conditionType") for each in spec.get("readinessGates") or ()]
    if not gates:
        return NONE
    true = {each["type"] for each in status.get("conditions") or () if each.get("status") == "True"}
    return f"{sum(gate in true for gate in gates)}/{len(gates)}"


class _View:
    """Ready containers, restarts and reason of one pod, gathered as kubectl's printer gathers them."""

    def __init__(self, pod: Object) -> None:
        self.spec, self.status = pod.get("spec") or {}, pod.get("status") or {}
        self.sidecars = {
            each["name"] for each in self.spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
        }
        self.total = len(self.spec.get("containers") or ()) + len(self.sidecars)
        self.ready = self.restarts = self.sidecar_restarts = 0
        self.last = self.sidecar_last = ""
        self.reason = self.status.get("reason") or self.status.get("phase") or ""
        if any(
            each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
            for each in self._conditions()
        ):
            self.reason = "SchedulingGated"
        initializing = self._init()
        if not initializing or self._is_true("Initialized"):
            self._main()
        self._deleted(pod)

    def _conditions(self) -> list[Object]:
        return self.status.get("conditions") or []

    def _is_true(self, kind: str) -> bool:
        return any(each.get("type") == kind and each.get("status") == "True" for each in self._conditions())

    def _init(self) -> bool:
        """Whether an init container still holds the pod up; then the reason says which."""
        count = len(self.spec.get("initContainers") or ())
        for at, each in enumerate(self.status.get("initContainerStatuses") or ()):
            self._count(each, sidecar=each.get("name") in self.sidecars)
            state = each.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting") or {}
            if terminated is not None and terminated.get("exitCode", 0) == 0:
                continue
            if each.get("name") in self.sidecars and each.get("started"):
                self.ready += bool(each.get("ready"))
                continue
            if terminated is not None:
                self.reason = f"Init:{_ended(terminated)}"
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.reason = f"Init:{waiting['reason']}"
            else:
                self.reason = f"Init:{at}/{count}"
            return True
        return False

    def _count(self, each: Object, *, sidecar: bool) -> None:
        finished = ((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.restarts += each.get("restartCount", 0)
        self.last = max(self.last, finished)
        if sidecar:
            self.sidecar_restarts += each.get("restartCount", 0)
            self.sidecar_last = max(self.sidecar_last, finished)

    def _main(self) -> None:
        self.restarts, self.last = self.sidecar_restarts, self.sidecar_last
        running = False
        for each in reversed(self.status.get("containerStatuses") or ()):
            self._count(each, sidecar=False)
            state = each.get("state") or {}
            waiting, terminated = state.get("waiting") or {}, state.get("terminated")
            if waiting.get("reason"):
                self.reason = waiting["reason"]
            elif terminated is not None:
                self.reason = _ended(terminated)
            elif each.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            self.reason = "Running" if self._is_true("Ready") else "NotReady"

    def _deleted(self, pod: Object) -> None:
        if not pod["metadata"].get("deletionTimestamp"):
            return
        if self.status.get("reason") == "NodeLost":
            self.reason = "Unknown"
        elif self.status.get("phase") not in ("Failed", "Succeeded"):
            self.reason = "Terminating"

    def restart_text(self, now: datetime) -> str:
        if self.restarts and self.last and moment(self.last).year > 1:
            return f"{self.restarts} ({since(self.last, now)} ago)"
        return str(self.restarts)


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


def template_cells(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), *template(obj), labels(((obj.get("template") or {}).get("metadata") or {}).get("labels"))]
