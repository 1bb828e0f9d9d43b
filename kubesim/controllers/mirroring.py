"""EndpointSlices for Endpoints that somebody writes by hand (Services without a selector): readers of slices see them too."""

from __future__ import annotations

from functools import partial

from kubesim.controllers.addresses import TRIGGER
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import ENDPOINTS, SERVICES, SLICES, owner_reference
from kubesim.controllers.meta import annotations_of, deleting, labels_of
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.controllers.slices import MANAGED, SERVICE, service_of
from kubesim.resources import Object

NAME = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"


class Mirroring(Controller):
    name = "endpoint-slice-mirroring-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.endpoints = self.on(ENDPOINTS)
        self.services = self.on(SERVICES)
        self.slices = self.on(SLICES, partial(service_of, manager=NAME))

    async def reconcile(self, key: Key) -> None:
        mine = [s for s in self.slices.items(key.namespace) if service_of(s, manager=NAME) == [key]]
        endpoints, service = self.endpoints.get(*key), self.services.get(*key)
        if endpoints is None or service is None or not _mirrored(endpoints, service):
            for each in mine:
                await self.cluster.delete(SLICES, each)
            return
        wanted = [mirror(endpoints, subset) for subset in endpoints.get("subsets") or ()]
        missing = []
        for body in wanted:
            same = next((s for s in mine if _content(s) == _content(body)), None)
            mine.remove(same) if same is not None else missing.append(body)
        for body in missing:
            if mine:
                old = mine.pop()
                await self.cluster.update(
                    SLICES, body | {"metadata": old["metadata"] | {"labels": body["metadata"]["labels"]}}
                )
            else:
                await self.cluster.create(SLICES, body, key.namespace)
        for each in mine:
            await self.cluster.delete(SLICES, each)


def _mirrored(endpoints: Object, service: Object) -> bool:
    if deleting(endpoints) or service["spec"].get("selector"):
        return False
    return labels_of(endpoints).get(SKIP) != "true" and LEADER not in annotations_of(endpoints)


def mirror(endpoints: Object, subset: Object) -> Object:
    """The slice that says what one subset says."""
    metadata = endpoints["metadata"]
    labels = labels_of(endpoints) | {MANAGED: NAME, SERVICE: metadata["name"]}
    ready = [_endpoint(a, ready=True) for a in subset.get("addresses") or ()]
    waiting = [_endpoint(a, ready=False) for a in subset.get("notReadyAddresses") or ()]
    return {
        "metadata": {
            "generateName": metadata["name"] + "-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {k: v for k, v in annotations_of(endpoints).items() if k == TRIGGER},
            "ownerReferences": [owner_reference(ENDPOINTS, endpoints)],
        },
        "addressType": "IPv4",
        "endpoints": ready + waiting,
        "ports": [
            {"name": p.get("name", ""), "protocol": p.get("protocol", "TCP"), "port": p["port"]}
            for p in subset.get("ports") or ()
        ],
    }


def _endpoint(address: Object, *, ready: bool) -> Object:
    kept = {name: address[name] for name in ("hostname", "nodeName", "targetRef") if address.get(name)}
    return {"addresses": [address["ip"]], "conditions": {"ready": ready}} | kept


def _content(body: Object) -> object:
    return body.get("endpoints") or [], body.get("ports") or []
