"""Bytes to objects, within bounds: 3 MiB, valid UTF-8, no deeper than `bounds` allows; JSON, YAML, or Kubernetes's protobuf."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from kubesim import bounds
from kubesim.api import media, protobuf
from kubesim.api.request import Request
from kubesim.errors import BadRequest, TooLarge, UnsupportedMedia
from kubesim.resources import Object, Resource
from kubesim.schema import duplicates

MAX_BODY = 3 * 1024 * 1024
ACCEPTED = (media.JSON, media.YAML, media.PROTOBUF)


def body(request: Request, resource: Resource) -> tuple[Object, tuple[str, ...]]:
    """The object of a create or update, and what only its bytes show: duplicate fields."""
    kind = request.content_type or media.JSON
    if kind not in ACCEPTED:
        raise UnsupportedMedia(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(ACCEPTED)}"
        )
    if kind == media.PROTOBUF:
        return protobuf.decode(request.body, resource.kind), ()
    found = _parse(request, resource.kind)
    if not isinstance(found, dict):
        raise _unrecognized(resource.kind, f"json: cannot unmarshal {_go(found)} into Go value of type struct")
    return found, tuple(duplicates(request.body)) if kind == media.JSON and _strict(request) else ()


def _strict(request: Request) -> bool:
    return request.query.get("fieldValidation", "") in ("Strict", "Warn")


def delete_options(request: Request) -> Object:
    """DeleteOptions, which may be left out."""
    if not request.body.strip():
        return {}
    if request.content_type == media.PROTOBUF:
        return protobuf.decode(request.body, "DeleteOptions")
    found = _parse(request, "DeleteOptions")
    if not isinstance(found, dict):
        raise _unrecognized("DeleteOptions", f"json: cannot unmarshal {_go(found)} into Go value of type struct")
    grace, preconditions = found.get("gracePeriodSeconds"), found.get("preconditions")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        raise _unrecognized(
            "DeleteOptions",
            f"json: cannot unmarshal {_go(grace)} into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        )
    if preconditions is not None and not isinstance(preconditions, dict):
        raise _unrecognized(
            "DeleteOptions",
            f"json: cannot unmarshal {_go(preconditions)} into Go struct field DeleteOptions.preconditions",
        )
    return found


def patch(request: Request) -> Any:
    """A patch: JSON, or YAML for server-side apply."""
    return _parse(request, "Patch")


def _parse(request: Request, kind: str) -> Any:
    if len(request.body) > MAX_BODY:
        raise TooLarge(f"Request entity too large: limit is {MAX_BODY}")
    try:
        return bounds.load_json(request.body)
    except bounds.Unbounded as error:
        raise _unrecognized(kind, f"json: {error}") from None
    except orjson.JSONDecodeError as error:
        if "yaml" in request.content_type:
            return _yaml(request.body)
        shown = request.body[:120].decode(errors="replace")
        raise _unrecognized(kind, f"json parse error: {error} ({shown})") from None


def _yaml(data: bytes) -> Any:
    try:
        found = bounds.load_yaml(data)
        return bounds.load_json(orjson.dumps(found, default=str, option=orjson.OPT_NON_STR_KEYS))
    except bounds.Unbounded as error:
        raise BadRequest(f"error decoding YAML: {error}") from None
    except (yaml.YAMLError, orjson.JSONEncodeError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        raise BadRequest(f"error decoding YAML: {type(error).__name__}") from None


def _unrecognized(kind: str, why: str) -> BadRequest:
    return BadRequest(f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; {why}")


def _go(value: object) -> str:
    return {str: "string", int: "number", float: "number", bool: "bool", dict: "object", list: "array"}.get(
        type(value), "null"
    )
