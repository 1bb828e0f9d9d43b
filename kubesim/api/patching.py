"""PATCH: which of the four kinds of patch, and applying it within the pipeline of writes."""

from __future__ import annotations

import copy
from typing import Any

from kubesim.api.objects import Objects
from kubesim.api.request import Call
from kubesim.errors import UnsupportedMedia
from kubesim.resources import Object

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def merge(obj: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


async def patcher(objects: Objects, call: Call, media: str, patch: Any) -> tuple[Object, bool]:
    """The object as patched, and whether it was made by this (server-side apply)."""
    if media in (MERGE, STRATEGIC):
        return await objects.change(call, lambda obj: merge(obj, patch)), False
    accepted = [JSON, MERGE, *(() if call.resource.custom else (STRATEGIC,)), APPLY]
    raise UnsupportedMedia(f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}")
