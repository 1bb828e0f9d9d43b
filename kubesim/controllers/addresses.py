"""Which pods stand behind a Service, and on which ports. Pure functions that endpoints and endpoint slices share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubesim.controllers.clock import stamp
from kubesim.controllers.meta import created, deleting, is_finished, is_ready, labels_of, ready_since
from kubesim.resources import Object

HEADLESS = "service.kubernetes.io/headless"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True)
class Port:
    """A port as a backend offers it."""

    name: str
    protocol: str
    port: int
    app_protocol: str = ""


@dataclass(frozen=True)
class Backend:
    """One pod behind a Service."""

    pod: Object
    address: str
    ports: tuple[Port, ...]
    ready: bool
    """Whether it gets traffic."""
    serving: bool
    terminating: bool
    hostname: str


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def selects(service: Object, pod: Object) -> bool:
    selector: dict[str, str] = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels_of(pod).items()


def backends(service: Object, pods: Iterable[Object]) -> list[Backend]:
    """The pods that have an address and have not ended, by address."""
    found = [_backend(service, pod) for pod in pods if _counts(service, pod)]
    return sorted(found, key=lambda b: (tuple(map(int, b.address.split("."))) if "." in b.address else (), b.address))


def _counts(service: Object, pod: Object) -> bool:
    return selects(service, pod) and bool((pod.get("status") or {}).get("podIP")) and not is_finished(pod)


def _backend(service: Object, pod: Object) -> Backend:
    serving = is_ready(pod)
    anyway = bool(service["spec"].get("publishNotReadyAddresses"))
    hostname = pod["spec"].get("hostname", "")
    named = hostname and pod["spec"].get("subdomain") == service["metadata"]["name"]
    return Backend(
        pod=pod,
        address=pod["status"]["podIP"],
        ports=tuple(_ports(service, pod)),
        ready=anyway or (serving and not deleting(pod)),
        serving=serving,
        terminating=deleting(pod),
        hostname=hostname if named else "",
    )


def _ports(service: Object, pod: Object) -> Iterable[Port]:
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol", "TCP")
        number = target(port.get("targetPort", port["port"]), protocol, port["port"], pod)
        if number is not None:
            yield Port(port.get("name", ""), protocol, number, port.get("appProtocol", ""))


def target(wanted: int | str, protocol: str, fallback: int, pod: Object) -> int | None:
    """A targetPort as a number: a name is looked up in the pod's containers, sidecars included."""
    if isinstance(wanted, int):
        return wanted or fallback
    sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == wanted and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def target_reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def trigger_time(service: Object, found: Sequence[Backend]) -> str:
    """When the newest thing happened that the endpoints reflect: the Service's creation or a pod's readiness."""
    times: list[datetime] = [created(service)]
    times += [since for backend in found if (since := ready_since(backend.pod)) is not None]
    return stamp(max(times))
