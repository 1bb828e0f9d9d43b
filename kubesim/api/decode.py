"""Bytes to objects, within bounds: 3 MiB, 512 levels, valid UTF-8, JSON or YAML."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from kubesim.api.request import Request
from kubesim.errors import BadRequest, TooLarge, UnsupportedMedia
from kubesim.resources import Object, Resource

MAX_BODY = 3 * 1024 * 1024
MEDIA = ("application/json", "application/yaml", "")


def body(request: Request, resource: Resource) -> Object:
    """The object of a create or update."""
    if request.content_type not in MEDIA:
        raise UnsupportedMedia("the body of the request was in an unknown format - accepted media types include: application/json, application/yaml")
    found = parse(request, resource.kind)
    if not isinstance(found, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind; json parse error: cannot unmarshal into Go value")
    return found


def optional(request: Request) -> Object:
    """A body that may be left out (DeleteOptions)."""
    if not request.body.strip():
        return {}
    found = parse(request, "DeleteOptions")
    return found if isinstance(found, dict) else {}


def patch(request: Request) -> Any:
    """A patch: JSON, or YAML for server-side apply."""
    return parse(request, "Patch")


def parse(request: Request, kind: str) -> Any:
    if len(request.body) > MAX_BODY:
        raise TooLarge(f"Request entity too large: limit is {MAX_BODY}")
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        if "yaml" in request.content_type:
            return _yaml(request.body)
        shown = request.body[:120].decode(errors="replace")
        message = f"couldn't get version/kind; json parse error: {error} ({shown})"
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind}): {message}") from None


def _yaml(data: bytes) -> Any:
    try:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"error decoding YAML: {type(error).__name__}") from None
