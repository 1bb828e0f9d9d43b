"""APIServices: one for every group version that is served, as the aggregator registers them. They are for looking at: requests are routed by the
registry, and nothing is forwarded to an API server behind a Service (such an APIService is stored, and says that it is not available).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.api import conditions
from kubesim.api.crds import KEY as DEFINITIONS
from kubesim.api.watching import Scope, follow
from kubesim.errors import AlreadyExists, Expired, NotFound
from kubesim.resources import Object

if TYPE_CHECKING:
    from kubesim.api.app import Server

KEY = "apiregistration.k8s.io/v1/apiservices"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
PRIORITIES = {
    "": (18000, 1),
    "apps": (17800, 15),
    "events.k8s.io": (17750, 15),
    "authentication.k8s.io": (17700, 15),
    "authorization.k8s.io": (17600, 15),
    "autoscaling": (17500, 15),
    "batch": (17400, 15),
    "certificates.k8s.io": (17300, 15),
    "networking.k8s.io": (17200, 15),
    "policy": (17100, 15),
    "rbac.authorization.k8s.io": (17000, 15),
    "storage.k8s.io": (16800, 15),
    "apiextensions.k8s.io": (16700, 15),
    "admissionregistration.k8s.io": (16700, 15),
    "scheduling.k8s.io": (16600, 15),
    "coordination.k8s.io": (16500, 15),
    "node.k8s.io": (16300, 15),
    "discovery.k8s.io": (16200, 12),
}
CUSTOM = (1000, 100)


class Registrations:
    """Keeps the automatic ones what the registry says."""

    def __init__(self, server: Server) -> None:
        self._server = server
        server.steps.allocators[server.registry[KEY].storage] = lambda obj, _: judge(obj, server.objects.now())

    async def run(self) -> None:
        """For ever: kinds come and go with CustomResourceDefinitions."""
        store, scope = self._server.store, Scope(self._server.registry[DEFINITIONS])
        while True:
            since = store.revision
            await self.register()
            try:
                async for _ in follow(store, scope, since):
                    await self.register()
            except Expired:
                continue

    async def register(self) -> None:
        server, resource = self._server, self._server.registry[KEY]
        served = {each["metadata"]["name"]: each for each in wanted(server.registry.groups())}
        stored = {record.name: record.object["metadata"] for record in server.store.list(resource.storage)}
        for name in served.keys() - stored.keys():
            try:
                await server.objects.create(server.system("create", resource), served[name])
            except AlreadyExists:
                continue
        for name, metadata in stored.items():
            if name not in served and MANAGED in (metadata.get("labels") or {}):
                try:
                    await server.objects.delete(server.system("delete", resource, name=name))
                except NotFound:
                    continue


def wanted(groups: dict[str, list[str]]) -> list[Object]:
    """What is registered for these groups and their versions."""
    return [_service(group, version) for group, versions in groups.items() for version in versions]


def _service(group: str, version: str) -> Object:
    by_group, by_version = PRIORITIES.get(group, CUSTOM)
    spec = {"group": group, "version": version, "groupPriorityMinimum": by_group, "versionPriority": by_version}
    metadata = {"name": f"{version}.{group}", "labels": {MANAGED: "onstart" if group in PRIORITIES else "true"}}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}


def judge(service: Object, now: str) -> None:
    """Fills in the status of one that is about to be written: local ones are there, those of another API server are not."""
    status = service.setdefault("status", {})
    if (service.get("spec") or {}).get("service"):
        message = "requests are not forwarded to other API servers here"
        conditions.put(status, "Available", "False", now, reason="NotForwarded", message=message)
    else:
        message = "Local APIServices are always available"
        conditions.put(status, "Available", "True", now, reason="Local", message=message)
