"""Reads fields of bodies that no schema has seen: reviews and token requests. What has the wrong type is the caller's mistake (400)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.errors import BadRequest
from kubesim.resources import Object


def struct(holder: Mapping[str, Any], name: str) -> Object:
    value = holder.get(name)
    if value is not None and not isinstance(value, dict):
        raise _wrong(name, value, "an object")
    return value or {}


def text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(name, value, "a string")
    return value or ""


def texts(holder: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = holder.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(name, value, "a list of strings")
    return tuple(value)


def number(holder: Mapping[str, Any], name: str, *, default: int) -> int:
    value = holder.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, value, "an integer")
    return value


def _wrong(name: str, value: object, wanted: str) -> BadRequest:
    kinds = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return BadRequest(
        f"json: cannot unmarshal {kinds.get(type(value), 'value')} into field {name}: it must be {wanted}"
    )
