"""CustomResourceDefinitions: a kind is served as soon as its definition is written, and no longer once it is gone.

Kubernetes does this in controllers a moment after the write. Here the store's write and the registry's change are one step: there is no
time in which a definition says Established and the kind is unknown. Deleting a definition deletes its objects first: those with
finalizers hold the definition (`customresourcecleanup.apiextensions.k8s.io`) until they go.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kubesim.api import conditions
from kubesim.api.watching import Scope, follow
from kubesim.builtin import STATUS
from kubesim.errors import ApiError, Expired, NotFound
from kubesim.resources import Object, Resource, clone

if TYPE_CHECKING:
    from kubesim.api.app import Server

log = logging.getLogger(__name__)
KEY = "apiextensions.k8s.io/v1/customresourcedefinitions"
STORAGE = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class Definitions:
    """Keeps the registry what the definitions in the store say."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._served: dict[str, tuple[Resource, ...]] = {}
        server.steps.allocators[STORAGE] = self._establish
        server.objects.written[STORAGE] = self._written
        for record in server.store.list(STORAGE):
            self.serve(record.object)

    def _written(self, crd: Object, gone: bool) -> None:
        if gone:
            self.withdraw(crd["metadata"]["name"])
        else:
            self.serve(crd)

    def _establish(self, crd: Object, _old: Object | None) -> None:
        self.establish(crd, self._server.objects.now())

    def serve(self, crd: Object) -> None:
        """Serve what this definition says now, instead of what it said before."""
        name = crd["metadata"]["name"]
        self.withdraw(name)
        found = resources(crd)
        self._served[name] = found
        self._server.registry.add(found)
        for resource in found:
            self._server.steps.schemas.add(resource, crd)

    def withdraw(self, name: str) -> None:
        found = self._served.pop(name, ())
        self._server.registry.discard([resource.key for resource in found])
        for resource in found:
            self._server.steps.schemas.remove(resource)

    def scale(self, resource: Resource) -> Object:
        """What the definition says of the scale subresource."""
        crd = self._server.objects.record(self._server.registry[KEY], "", resource.group_resource).object
        declared = _version(crd, resource.version).get("subresources") or {}
        found: Object = declared["scale"]
        return found

    def establish(self, crd: Object, now: str) -> None:
        """Fills in the status of a definition that is about to be written: names accepted, established."""
        names = accepted_names(crd["spec"]["names"])
        status = crd.setdefault("status", {})
        taken = self._taken(crd)
        if taken:
            conditions.put(status, "NamesAccepted", "False", now, reason=taken[0], message=taken[1])
            conditions.put(
                status, "Established", "False", now, reason="NotAccepted", message="not all names are accepted"
            )
            status.setdefault("acceptedNames", {"plural": "", "kind": ""})
        else:
            conditions.put(status, "NamesAccepted", "True", now, reason="NoConflicts", message="no conflicts found")
            conditions.put(
                status,
                "Established",
                "True",
                now,
                reason="InitialNamesAccepted",
                message="the initial names have been accepted",
            )
            status["acceptedNames"] = names
        stored = status.setdefault("storedVersions", [])
        current = next((version["name"] for version in crd["spec"]["versions"] if version.get("storage")), None)
        if current and current not in stored:
            stored.append(current)

    def _taken(self, crd: Object) -> tuple[str, str] | None:
        """Whether another definition of the group has one of these names."""
        names, group = crd["spec"]["names"], crd["spec"]["group"]
        for resource in self._server.registry:
            if resource.group != group or resource.group_resource == crd["metadata"]["name"]:
                continue
            if resource.kind == names["kind"]:
                return "KindConflict", f'"{names["kind"]}" is already in use'
            if resource.plural == names["plural"]:
                return "PluralConflict", f'"{names["plural"]}" is already in use'
        return None

    async def run(self) -> None:
        """Cleans up after deleted definitions, for ever."""
        store = self._server.store
        while True:
            since = store.revision
            await self._sweep()
            try:
                async for _ in follow(
                    store, Scope(self._server.registry[KEY]), since, idle=lambda: 1.0 if self._deleting() else None
                ):
                    await self._sweep()
            except Expired:
                continue

    def _deleting(self) -> list[Object]:
        return [
            record.object
            for record in self._server.store.list(STORAGE)
            if record.object["metadata"].get("deletionTimestamp")
        ]

    async def _sweep(self) -> None:
        for crd in self._deleting():
            try:
                await self._clean(crd)
            except ApiError as error:
                log.info("cleaning up %s: %s", crd["metadata"]["name"], error.message)

    async def _clean(self, crd: Object) -> None:
        server, name = self._server, crd["metadata"]["name"]
        held = False
        for resource in self._served.get(name, ())[:1]:
            for record in server.store.list(resource.storage):
                call = server.system("delete", resource, namespace=record.namespace, name=record.name)
                try:
                    _, gone = await server.objects.delete(call)
                except NotFound:
                    continue
                held = held or not gone
        if held or CLEANUP not in (crd["metadata"].get("finalizers") or ()):
            return

        def release(obj: Object) -> Object:
            obj["metadata"]["finalizers"] = [
                each for each in obj["metadata"].get("finalizers") or () if each != CLEANUP
            ]
            return obj

        await server.objects.change(
            server.system("update", server.registry[KEY], name=name, subresource="status"), release
        )


def resources(crd: Object) -> tuple[Resource, ...]:
    """The kinds a definition serves, one per served version."""
    accepted = {each["type"]: each["status"] for each in (crd.get("status") or {}).get("conditions") or ()}
    if accepted.get("Established") != "True":
        return ()
    return tuple(_resource(crd["spec"], version) for version in crd["spec"]["versions"] if version.get("served"))


def _resource(spec: Object, version: Object) -> Resource:
    names = accepted_names(spec["names"])
    declared = version.get("subresources") or {}
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=_VERBS,
        subresources=tuple((name, STATUS) for name in ("scale", "status") if name in declared),
        singular=names["singular"],
        list_kind=names["listKind"],
        custom=True,
    )


def accepted_names(names: Object) -> Object:
    kind = names["kind"]
    return {
        **clone(names),
        "singular": names.get("singular") or kind.lower(),
        "listKind": names.get("listKind") or f"{kind}List",
    }


def _version(crd: Object, name: str) -> dict[str, Any]:
    return next(version for version in crd["spec"]["versions"] if version["name"] == name)
