"""Endpoints: the old list of addresses behind a Service, one object with the Service's name.

A Service without a selector is left alone: its Endpoints are its owner's to write (see `mirroring`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubesim.controllers.addresses import (
    HEADLESS,
    TRIGGER,
    Backend,
    Port,
    backends,
    is_headless,
    selects,
    target_reference,
    trigger_time,
)
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import ENDPOINTS, PODS, SERVICES
from kubesim.controllers.meta import deleting, labels_of
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object

MANAGED = "endpoints.kubernetes.io/managed-by"
NAME = "endpoint-controller"
CAPACITY = 1000


class ServiceFollower(Controller):
    """Reconciles a Service whenever it or a pod it selects (or selected) changes in a way that shows."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.services = self.on(SERVICES)
        self.pods = self.informer(PODS)
        self.pods.on(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _shown(old) == _shown(new):
            return
        pods = [pod for pod in (old, new) if pod is not None]
        for service in self.services.items(pods[0]["metadata"]["namespace"]):
            if any(selects(service, pod) for pod in pods):
                self.queue.add(key_of(service))

    def selected(self, service: Object) -> list[Backend]:
        return backends(service, self.pods.items(service["metadata"]["namespace"]))


def _shown(pod: Object) -> object:
    """What endpoints show of a pod."""
    status = pod.get("status") or {}
    ready = next((c["status"] for c in status.get("conditions") or () if c["type"] == "Ready"), "")
    ended = status.get("phase") in ("Succeeded", "Failed")
    spec = pod["spec"]
    return (
        status.get("podIP"),
        ready,
        ended,
        deleting(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        labels_of(pod),
    )


class EndpointsController(ServiceFollower):
    name = NAME

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.endpoints = self.on(ENDPOINTS)

    async def reconcile(self, key: Key) -> None:
        service, found = self.services.get(*key), self.endpoints.get(*key)
        if service is None:
            if found is not None and labels_of(found).get(MANAGED) == NAME:
                await self.cluster.delete(ENDPOINTS, found)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName" or deleting(service):
            return
        wanted = new_endpoints(service, self.selected(service))
        if found is None:
            await self.cluster.create(ENDPOINTS, wanted, key.namespace)
        elif _content(found) != _content(wanted):
            merged = found["metadata"] | {name: wanted["metadata"][name] for name in ("labels", "annotations")}
            await self.cluster.update(ENDPOINTS, {"metadata": merged, "subsets": wanted.get("subsets")})


def _content(endpoints: Object) -> object:
    labels = labels_of(endpoints)
    return labels, endpoints.get("subsets") or []


def new_endpoints(service: Object, found: Sequence[Backend]) -> Object:
    """The Endpoints object for a Service."""
    metadata = service["metadata"]
    labels = {k: v for k, v in labels_of(service).items() if k != HEADLESS} | {MANAGED: NAME}
    if is_headless(service):
        labels[HEADLESS] = ""
    body: Object = {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {TRIGGER: trigger_time(service, found)},
        }
    }
    subsets = list(_subsets(service, found[:CAPACITY]))
    return body | ({"subsets": subsets} if subsets else {})


def _subsets(service: Object, found: Sequence[Backend]) -> Iterable[Object]:
    """Backends grouped by what ports they offer; one without the wanted ports offers nothing."""
    groups: dict[tuple[Port, ...], list[Backend]] = {}
    portless = is_headless(service) and not service["spec"].get("ports")
    for backend in found:
        terminating = backend.terminating and not service["spec"].get("publishNotReadyAddresses")
        if (backend.ports or portless) and not terminating:
            groups.setdefault(backend.ports, []).append(backend)
    for ports, members in sorted(groups.items(), key=lambda item: [(p.name, p.port) for p in item[0]]):
        ready = [_address(b) for b in members if b.ready]
        waiting = [_address(b) for b in members if not b.ready]
        subset: Object = {"addresses": ready, "notReadyAddresses": waiting, "ports": [_port(p) for p in ports]}
        yield {name: value for name, value in subset.items() if value}


def _address(backend: Backend) -> Object:
    node = backend.pod["spec"].get("nodeName")
    address: Object = {"ip": backend.address}
    if backend.hostname:
        address["hostname"] = backend.hostname
    if node:
        address["nodeName"] = node
    return address | {"targetRef": target_reference(backend.pod)}


def _port(port: Port) -> Object:
    named = {"name": port.name} if port.name else {}
    protocol = {"appProtocol": port.app_protocol} if port.app_protocol else {}
    return named | {"port": port.port, "protocol": port.protocol} | protocol
