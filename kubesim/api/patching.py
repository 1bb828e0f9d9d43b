"""PATCH: which of the four kinds of patch, applied within the pipeline of writes."""

from __future__ import annotations

from typing import Any

from kubesim.api import media
from kubesim.api.objects import Objects, not_found
from kubesim.api.request import Call
from kubesim.api.steps import unsupported
from kubesim.errors import ApiError, BadRequest, UnsupportedMedia
from kubesim.resources import Object

STATELESS = (media.JSON_PATCH, media.MERGE_PATCH, media.STRATEGIC_PATCH)


class _UnknownMedia(UnsupportedMedia):
    """A content type that is no patch at all: details are there and empty."""

    def status(self) -> dict[str, Any]:
        body = super().status()
        code = body.pop("code")
        return {**body, "details": {}, "code": code}


async def apply(objects: Objects, call: Call, kind: str, patch: Any) -> tuple[Object, bool]:
    """The object as patched, and whether it was made by this (server-side apply)."""
    if kind in STATELESS:
        if kind == media.STRATEGIC_PATCH and call.resource.custom:
            raise unsupported(call.resource)
        return await objects.change(call, lambda obj: objects.steps.patched(call, obj, patch, kind)), False
    if kind != media.APPLY_PATCH:
        raise _UnknownMedia("415: Unsupported Media Type")
    return await _apply(objects, call, patch)


async def _apply(objects: Objects, call: Call, applied: Any) -> tuple[Object, bool]:
    """Server-side apply, which creates what is not there."""
    body = _checked(call, applied)
    resource = call.resource
    if objects.store.get(resource.storage, call.namespace, call.name) is None:
        if call.info.subresource:
            raise not_found(resource, call.name)
        return await objects.create_applied(call, body), True
    now = objects.now()
    return await objects.change(call, lambda live: objects.steps.applied(call, live, body, now), applied=True), False


def _checked(call: Call, applied: Any) -> Object:
    if not isinstance(applied, dict):
        raise BadRequest("error decoding YAML: an object is expected")
    if not call.options.field_manager:
        raise _manager_required()
    metadata = applied.get("metadata")
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict):
        raise BadRequest("error decoding YAML: metadata must be an object")
    for key, wanted in (("apiVersion", call.resource.api_version), ("kind", call.resource.kind)):
        if not applied.get(key):
            raise BadRequest(f"invalid object type: /, Kind={applied.get('kind', '')}")
        if applied[key] != wanted:
            raise BadRequest(f"{key} of the patch ({applied[key]}) does not match the resource's ({wanted})")
    if metadata.get("name", call.name) != call.name:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
        )
    space = {"namespace": call.namespace} if call.resource.namespaced else {}
    return {**applied, "metadata": {**metadata, "name": call.name, **space}}


def _manager_required() -> ApiError:
    from kubesim.errors import Cause, Invalid

    message = "Required value: is required for apply patch"
    cause = Cause("FieldValueRequired", message, "fieldManager")
    details = {"group": "meta.k8s.io", "kind": "PatchOptions"}
    return Invalid(f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {message}', details=details, causes=[cause])
