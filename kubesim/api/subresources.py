"""Subresources, each a handler: status here; the rest beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.api import decode, render, verbs
from kubesim.api.patching import patcher
from kubesim.api.request import Request, Response
from kubesim.resources import Resource

if TYPE_CHECKING:
    from kubesim.api.app import Server


async def status(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    call = verbs.call_of(request, resource)
    if request.info.verb == "get":
        return verbs.shown(resource, server.objects.get(call), form)
    if request.info.verb == "patch":
        obj, _ = await patcher(server.objects, call, request.content_type, decode.patch(request))
        return verbs.shown(resource, obj, form)
    return verbs.shown(resource, await server.objects.update(call, decode.body(request, resource)), form)


HANDLERS = {("*", "status"): status}
