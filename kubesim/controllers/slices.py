"""EndpointSlices: the addresses behind a Service in slices of at most a hundred, one set per combination of ports.

Existing slices are filled and emptied in place, so that one pod's readiness changes one slice. A Service with a selector but without pods has one
empty slice, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kubesim.controllers.addresses import HEADLESS, TRIGGER, Backend, Port, is_headless, target_reference, trigger_time
from kubesim.controllers.endpoints import ServiceFollower
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import SERVICES, SLICES, owner_reference
from kubesim.controllers.meta import deleting, labels_of
from kubesim.controllers.runtime import Cluster
from kubesim.resources import Object

MANAGED = "endpointslice.kubernetes.io/managed-by"
NAME = "endpointslice-controller.k8s.io"
SERVICE = "kubernetes.io/service-name"
CAPACITY = 100

Ports = tuple[Port, ...]


class Slices(ServiceFollower):
    name = "endpoint-slice-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.slices = self.on(SLICES, partial(service_of, manager=NAME))

    async def reconcile(self, key: Key) -> None:
        service = self.services.get(*key)
        mine = [s for s in self.slices.items(key.namespace) if service_of(s, manager=NAME) == [key]]
        if service is None:
            for each in mine:
                await self.cluster.delete(SLICES, each)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName" or deleting(service):
            return
        await self._sync(service, mine)

    async def _sync(self, service: Object, mine: Sequence[Object]) -> None:
        found = self.selected(service)
        base = new_slice(service, trigger_time(service, found))
        groups: dict[Ports | None, list[Backend]] = {} if found else {None: []}
        for backend in found:
            groups.setdefault(backend.ports, []).append(backend)
        left = list(mine)
        for ports, members in groups.items():
            same = [s for s in left if _ports_of(s) == _port_list(ports)] if ports is not None else left[:1]
            left = [s for s in left if s not in same]
            await self._fill(base, ports, members, same)
        for each in left:
            await self.cluster.delete(SLICES, each)

    async def _fill(
        self, base: Object, ports: Ports | None, members: Sequence[Backend], slices: Sequence[Object]
    ) -> None:
        """Put the members into `slices`, then new ones; slices that end up empty go, unless the Service would have none."""
        chunks = _spread(members, slices)
        for existing, chunk in zip(slices, chunks, strict=False):
            if not chunk and ports is not None:
                await self.cluster.delete(SLICES, existing)
            elif not _same(existing, wanted := _content(base, ports, chunk)):
                metadata = existing["metadata"] | {name: base["metadata"][name] for name in ("labels", "annotations")}
                await self.cluster.update(SLICES, existing | wanted | {"metadata": metadata})
        for chunk in chunks[len(slices) :]:
            await self.cluster.create(SLICES, base | _content(base, ports, chunk), base["metadata"]["namespace"])


def service_of(found: Object, *, manager: str) -> list[Key]:
    """The Service that a slice of that manager's is of; nothing for a slice of anybody else's."""
    labels = labels_of(found)
    if labels.get(MANAGED) != manager or SERVICE not in labels:
        return []
    return [Key(found["metadata"]["namespace"], labels[SERVICE])]


def new_slice(service: Object, trigger: str) -> Object:
    """A slice of a Service without its contents."""
    metadata = service["metadata"]
    labels = {k: v for k, v in labels_of(service).items() if k != HEADLESS} | {MANAGED: NAME, SERVICE: metadata["name"]}
    if is_headless(service):
        labels[HEADLESS] = ""
    return {
        "metadata": {
            "generateName": metadata["name"] + "-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {TRIGGER: trigger},
            "ownerReferences": [owner_reference(SERVICES, service)],
        },
        "addressType": "IPv4",
    }


def _content(base: Object, ports: Ports | None, members: Sequence[Backend]) -> Object:
    return {
        "addressType": base["addressType"],
        "endpoints": [_endpoint(m) for m in members] or None,
        "ports": None if ports is None else _port_list(ports),
    }


def _same(existing: Object, wanted: Object) -> bool:
    return (existing.get("endpoints") or []) == (wanted["endpoints"] or []) and _ports_of(existing) == (
        wanted["ports"] or []
    )


def _endpoint(backend: Backend) -> Object:
    endpoint: Object = {
        "addresses": [backend.address],
        "conditions": {"ready": backend.ready, "serving": backend.serving, "terminating": backend.terminating},
        "targetRef": target_reference(backend.pod),
    }
    if backend.hostname:
        endpoint["hostname"] = backend.hostname
    if backend.pod["spec"].get("nodeName"):
        endpoint["nodeName"] = backend.pod["spec"]["nodeName"]
    return endpoint


def _port_list(ports: Ports) -> list[Object]:
    return [
        {"name": p.name, "protocol": p.protocol, "port": p.port}
        | ({"appProtocol": p.app_protocol} if p.app_protocol else {})
        for p in ports
    ]


def _ports_of(found: Object) -> list[Object]:
    return found.get("ports") or []


def _spread(members: Sequence[Backend], slices: Sequence[Object]) -> list[list[Backend]]:
    """Members per slice: where they already are, else where there is room, else in new slices at the end."""
    by_address = {m.address: m for m in members}
    chunks: list[list[Backend]] = []
    for existing in slices:
        addresses = [e["addresses"][0] for e in existing.get("endpoints") or ()]
        chunks.append([by_address.pop(a) for a in addresses if a in by_address])
    rest = list(by_address.values())
    for chunk in chunks:
        while rest and len(chunk) < CAPACITY:
            chunk.append(rest.pop(0))
    while rest or not chunks:
        chunks.append(rest[:CAPACITY])
        rest = rest[CAPACITY:]
    return chunks
