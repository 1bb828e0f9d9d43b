"""`kubesim.client.Client` in process: the layers from authorization on, without HTTP. Objects that come back are shared: never change one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from kubesim.api import convert, media, patching, subresources
from kubesim.api.app import Server
from kubesim.api.request import Call, Options
from kubesim.api.scopes import narrowed
from kubesim.api.watching import follow
from kubesim.auth.attributes import Attributes
from kubesim.auth.user import User
from kubesim.client import Event, ObjectList, PatchKind
from kubesim.errors import NotFound
from kubesim.resources import Object

_MEDIA = {
    "json": media.JSON_PATCH,
    "merge": media.MERGE_PATCH,
    "strategic": media.STRATEGIC_PATCH,
    "apply": media.APPLY_PATCH,
}


class LocalClient:
    """One user's view of the API. `manager` owns the fields it writes."""

    def __init__(self, server: Server, user: User, *, manager: str = "") -> None:
        self._server, self._user = server, user
        self._manager = manager or user.name.rpartition(":")[2]

    async def get(self, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Object:
        call = self._call("get", resource, namespace, name, subresource)
        if subresource and subresource != "status":
            return await subresources.invoke(self._server, call, None)
        return self._server.objects.get(call)

    async def list(
        self, resource: str, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        call = self._call("list", resource, namespace)
        virtual = self._server.virtual.get(call.resource.storage)
        scope = narrowed(call.resource, call.namespace, label_selector, field_selector)
        if virtual is not None:
            return ObjectList(
                [obj for obj in virtual.list(namespace) if scope.labels.matches(obj["metadata"].get("labels"))], ""
            )
        found = self._server.store.list(scope.kind, scope.namespace)
        items = [convert.to_version(call.resource, record.object) for record in found if scope.matches(record)]
        return ObjectList(items, str(self._server.store.revision))

    async def create(
        self, resource: str, body: Object, namespace: str = "", *, name: str = "", subresource: str = ""
    ) -> Object:
        namespace = namespace or (body.get("metadata") or {}).get("namespace", "")
        call = self._call("create", resource, namespace, name, subresource)
        if subresource or "list" not in call.resource.verbs:
            return await subresources.invoke(self._server, call, body)
        return await self._server.objects.create(call, body)

    async def update(self, resource: str, body: Object, *, subresource: str = "") -> Object:
        metadata = body["metadata"]
        call = self._call("update", resource, metadata.get("namespace", ""), metadata["name"], subresource)
        if subresource and subresource != "status":
            return await subresources.invoke(self._server, call, body)
        return await self._server.objects.update(call, body)

    async def patch(
        self,
        resource: str,
        name: str,
        patch: object,
        namespace: str = "",
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        options = Options(field_manager=field_manager or self._manager, field_validation="Ignore", force=force)
        call = self._call("patch", resource, namespace, name, subresource, options)
        if subresource and subresource != "status":
            return await subresources.invoke(self._server, call, patch, _MEDIA[kind])
        return (await patching.apply(self._server.objects, call, _MEDIA[kind], patch))[0]

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str = "",
        *,
        propagation: Literal["", "Orphan", "Background", "Foreground"] = "",
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> Object:
        preconditions = {"uid": uid} if uid else {}
        options = Options(propagation=propagation, preconditions=preconditions, grace_seconds=grace_seconds)
        obj, _ = await self._server.objects.delete(self._call("delete", resource, namespace, name, "", options))
        return obj

    async def watch(
        self,
        resource: str,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Event]:
        call = self._call("watch", resource, namespace)
        scope = narrowed(call.resource, call.namespace, label_selector, field_selector)
        async for batch in follow(self._server.store, scope, int(resource_version)):
            for seen in batch:
                yield Event(seen.type, convert.to_version(call.resource, seen.record.object))

    def _call(
        self,
        verb: str,
        key: str,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        options: Options | None = None,
    ) -> Call:
        """Finds the kind and asks whether this user may."""
        resource = self._server.registry.find(key)
        if resource is None:
            raise NotFound("the server could not find the requested resource")
        self._server.authorizer.check(
            Attributes.on(self._user, verb, resource, namespace=namespace, name=name, subresource=subresource)
        )
        chosen = options or Options(field_manager=self._manager, field_validation="Ignore")
        return self._server.call(
            self._user, verb, resource, namespace=namespace, name=name, subresource=subresource, options=chosen
        )
