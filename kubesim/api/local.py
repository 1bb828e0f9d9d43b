"""`kubesim.client.Client` in process: the layers from authorization on, without HTTP. Objects that come back are shared: never change one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from kubesim.api import convert, verbs
from kubesim.api.app import Server
from kubesim.api.patching import APPLY, JSON, MERGE, STRATEGIC, patcher
from kubesim.api.request import Call, Options
from kubesim.api.watching import Scope, follow
from kubesim.auth.attributes import Attributes
from kubesim.auth.user import User
from kubesim.client import Event, ObjectList, PatchKind
from kubesim.errors import NotFound
from kubesim.paths import RequestInfo
from kubesim.resources import Object, Resource
from kubesim.selectors import parse_fields, parse_labels

_MEDIA = {"json": JSON, "merge": MERGE, "strategic": STRATEGIC, "apply": APPLY}


class LocalClient:
    """One user's view of the API. `manager` owns the fields it writes."""

    def __init__(self, server: Server, user: User, *, manager: str = "") -> None:
        self._server, self._user = server, user
        self._manager = manager or user.name.rpartition(":")[2]

    async def get(self, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Object:
        call = self._call("get", resource, namespace, name, subresource)
        if subresource and subresource != "status":
            return await self._server.invoke(call, None)
        return self._server.objects.get(call)

    async def list(self, resource: str, namespace: str = "", *, label_selector: str = "", field_selector: str = "") -> ObjectList:
        call = self._call("list", resource, namespace)
        scope = self._scope(call, label_selector, field_selector)
        found = self._server.store.list(scope.kind, scope.namespace)
        items = [convert.to_version(call.resource, record.object) for record in found if scope.matches(record)]
        return ObjectList(items, str(self._server.store.revision))

    async def create(self, resource: str, body: Object, namespace: str = "", *, name: str = "", subresource: str = "") -> Object:
        namespace = namespace or (body.get("metadata") or {}).get("namespace", "")
        call = self._call("create", resource, namespace, name, subresource)
        if subresource or "list" not in call.resource.verbs:
            return await self._server.invoke(call, body)
        return await self._server.objects.create(call, body)

    async def update(self, resource: str, body: Object, *, subresource: str = "") -> Object:
        metadata = body["metadata"]
        call = self._call("update", resource, metadata.get("namespace", ""), metadata["name"], subresource)
        if subresource and subresource != "status":
            return await self._server.invoke(call, body)
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
            return await self._server.invoke(call, patch, media=_MEDIA[kind])
        return (await patcher(self._server.objects, call, _MEDIA[kind], patch))[0]

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
        scope = self._scope(call, label_selector, field_selector)
        async for batch in follow(self._server.store, scope, int(resource_version)):
            for seen in batch:
                yield Event(seen.type, convert.to_version(call.resource, seen.record.object))

    def _call(
        self, verb: str, key: str, namespace: str = "", name: str = "", subresource: str = "", options: Options | None = None
    ) -> Call:
        """Finds the kind and asks whether this user may."""
        resource = self._server.registry.find(key)
        if resource is None:
            raise NotFound("the server could not find the requested resource")
        self._server.authorizer.check(
            Attributes.on(self._user, verb, resource, namespace=namespace, name=name, subresource=subresource)
        )
        chosen = options or Options(field_manager=self._manager, field_validation="Ignore")
        return Call(_info(verb, resource, namespace, name, subresource), resource, self._user, chosen)

    def _scope(self, call: Call, labels: str, fields: str) -> Scope:
        selector = parse_fields(fields)
        verbs.check_fields(call.resource, selector)
        name = selector.exact("metadata.name") or ""
        return Scope(call.resource.storage, call.namespace, name, parse_labels(labels), selector)


def _info(verb: str, resource: Resource, namespace: str, name: str, subresource: str) -> RequestInfo:
    return RequestInfo(
        path="",
        verb=verb,
        is_resource=True,
        group=resource.group,
        version=resource.version,
        namespace=namespace,
        resource=resource.plural,
        subresource=subresource,
        name=name,
    )


