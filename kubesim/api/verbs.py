"""The verbs of a kind over HTTP: decode, call `Objects`, render."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from kubesim.api import convert, decode, patching, render, subresources
from kubesim.api.lists import list_
from kubesim.api.objects import not_found, with_delete_options
from kubesim.api.request import Call, Options, Request, Response, options
from kubesim.api.scopes import scope
from kubesim.api.watches import watch
from kubesim.errors import Conflict, NotFound
from kubesim.resources import Object, Resource

if TYPE_CHECKING:
    from kubesim.api.app import Server

Handler = Callable[["Server", Request, Resource], Awaitable[Response]]


def call_of(
    request: Request, resource: Resource, chosen: Options | None = None, problems: tuple[str, ...] = ()
) -> Call:
    return Call(request.info, resource, request.user, chosen or options(request), request.warnings, problems)


async def create(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    body, problems = decode.body(request, resource)
    call = call_of(request, resource, problems=problems)
    if (resource.storage, "") in subresources.POSTS:
        return render.answer(await subresources.invoke(server, call, body), status=201)
    return shown(server, resource, await server.objects.create(call, body), form, status=201)


async def get(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    info = request.info
    if resource.storage in server.virtual:
        obj = server.virtual[resource.storage].get(info.namespace, info.name)
        if obj is None:
            raise not_found(resource, info.name)
        return shown(server, resource, obj, form)
    record = server.objects.record(resource, info.namespace, info.name)
    if not form.kind:
        return Response(200, render.encoded(resource, record) + b"\n")
    return shown(server, resource, convert.to_version(resource, record.object), form)


async def update(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    body, problems = decode.body(request, resource)
    created = (
        server.store.get(resource.storage, request.info.namespace if resource.namespaced else "", request.info.name)
        is None
    )
    obj = await server.objects.update(call_of(request, resource, problems=problems), body)
    return shown(server, resource, obj, form, status=201 if created else 200)


async def patch(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    obj, created = await patching.apply(
        server.objects, call_of(request, resource), request.content_type, decode.patch(request)
    )
    return shown(server, resource, obj, form, status=201 if created else 200)


async def delete(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    obj, gone = await server.objects.delete(call_of(request, resource, _delete_options(request)))
    if gone and resource.key not in ANSWERED_WITH_OBJECT:
        return render.answer(render.success(resource, obj))
    return shown(server, resource, obj, form)


ANSWERED_WITH_OBJECT = frozenset(
    {
        "v1/pods",
        "v1/services",
        "v1/serviceaccounts",
        "v1/podtemplates",
        "v1/persistentvolumeclaims",
        "v1/persistentvolumes",
        "v1/resourcequotas",
    }
)
"""Kinds whose deletion answers with the object as it last was."""


def _delete_options(request: Request) -> Options:
    return with_delete_options(options(request), decode.delete_options(request))


async def deletecollection(server: Server, request: Request, resource: Resource) -> Response:
    wanted, call = scope(request, resource), call_of(request, resource, _delete_options(request))
    found = [record for record in server.store.list(wanted.kind, wanted.namespace) if wanted.matches(record)]
    for record in found:
        info = replace(request.info, verb="delete", name=record.name, namespace=record.namespace)
        try:
            await server.objects.delete(replace(call, info=info))
        except (NotFound, Conflict):
            continue  # gone, or not what was selected any more
    return Response(200, render.listed(resource, found, {"resourceVersion": str(server.store.revision)}))


def shown(server: Server, resource: Resource, obj: Object, form: render.Form, *, status: int = 200) -> Response:
    if form.kind == "Table":
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return render.answer(server.tabler.table(resource, [obj], metadata), status=status)
    return render.answer(render.partial(obj) if form.kind else obj, status=status)


async def view(server: Server, request: Request, resource: Resource) -> Response:
    """A subresource that is about the object: read, updated, patched or posted."""
    form = render.negotiate(request.accept)
    verb = request.info.verb
    if verb == "get":
        return shown(server, resource, await subresources.invoke(server, call_of(request, resource), None), form)
    if verb == "patch":
        done = await subresources.invoke(
            server, call_of(request, resource), decode.patch(request), request.content_type
        )
        return shown(server, resource, done, form)
    body, problems = decode.body(request, resource)
    done = await subresources.invoke(server, call_of(request, resource, problems=problems), body)
    return render.answer(done, status=201 if verb == "create" else 200)


HANDLERS: dict[str, Handler] = {
    "create": create,
    "get": get,
    "list": list_,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": deletecollection,
    "watch": watch,
}
