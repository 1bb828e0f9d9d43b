"""Kubernetes's protobuf bodies, which typed Go clients (kubectl create, autoscale, auth can-i) send whatever the server prefers.

Answers are always JSON, which the same clients accept. A body is the magic "k8s\\0" and a runtime.Unknown that holds the object's type and
bytes; `protobuf.json` says which field number is which. Go writes zero values too, so much of what comes out is empty: the schema's decoding
drops that, as for JSON. Malformed bytes are a BadRequest; nothing is allocated that the body does not pay for.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kubesim import bounds
from kubesim.errors import BadRequest
from kubesim.resources import Object

MAGIC = b"k8s\0"
INLINED = frozenset(
    {
        "admissionregistration.v1.NamedRuleWithOperations.ruleWithOperations",
        "admissionregistration.v1.RuleWithOperations.rule",
        "core.v1.ConfigMapEnvSource.localObjectReference",
        "core.v1.ConfigMapKeySelector.localObjectReference",
        "core.v1.ConfigMapProjection.localObjectReference",
        "core.v1.ConfigMapVolumeSource.localObjectReference",
        "core.v1.EphemeralContainer.ephemeralContainerCommon",
        "core.v1.PersistentVolumeSpec.persistentVolumeSource",
        "core.v1.Probe.handler",
        "core.v1.SecretEnvSource.localObjectReference",
        "core.v1.SecretKeySelector.localObjectReference",
        "core.v1.SecretProjection.localObjectReference",
        "core.v1.Volume.volumeSource",
        "networking.v1.IngressRule.ingressRuleValue",
    }
)
"""Messages whose fields JSON shows in the message around them."""

_GROUPS = {"": "core", "rbac.authorization.k8s.io": "rbac"}
_DEEPEST = 64


class Field(NamedTuple):
    """`shape` is "" (one), "*" (repeated) or "%" (a map from strings)."""

    name: str
    shape: str
    type: str


class _Malformed(Exception):
    """Not what its type says."""


def decode(body: bytes, kind: str) -> Object:
    """The object in a request's body. `kind` names what is expected, for the message and where the body leaves its type out."""
    try:
        found = _unwrap(body, kind)
        bounds.check(found)
        return found
    except bounds.Unbounded as error:
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind}): {error}") from None
    except (
        _Malformed,
        IndexError,
        struct.error,
        ValueError,
        OverflowError,
        KeyError,
        TypeError,
        RecursionError,
    ) as error:
        what = f"the object provided is unrecognized (must be of type {kind})"
        raise BadRequest(f"{what}: couldn't get version/kind; {type(error).__name__.strip('_')}") from None


def _unwrap(body: bytes, kind: str) -> Object:
    if not body.startswith(MAGIC):
        raise _Malformed
    unknown: Object = _message("runtime.Unknown", body[len(MAGIC) :], raw=True)
    named = unknown.get("typeMeta") or {}
    version, kind = str(named.get("apiVersion", "")), str(named.get("kind") or kind)
    obj: Object = _message(_type_of(version, kind), unknown.get("raw", b""))
    return {"kind": kind, "apiVersion": version} | obj


def _type_of(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    for package in (f"{_GROUPS.get(group, group.partition('.')[0])}.{version}", "meta.v1"):
        if f"{package}.{kind}" in _types():
            return f"{package}.{kind}"
    raise _Malformed


@cache
def _types() -> dict[str, dict[int, Field]]:
    table = json.loads(Path(__file__).with_name("protobuf.json").read_text())
    return {name: dict(map(_field, filter(None, fields.split(",")))) for name, fields in table.items()}


def _field(text: str) -> tuple[int, Field]:
    number, name, kind = text.split()
    shape = kind[0] if kind[0] in "*%" else ""
    return int(number), Field(name, shape, kind.removeprefix(shape))


# The wire


def _message(name: str, data: bytes, *, depth: int = 0, raw: bool = False) -> Any:
    """A message as JSON shows it. `raw`: bytes stay bytes."""
    special = _SPECIAL.get(name)
    if depth > _DEEPEST:
        raise _Malformed
    fields = _types()[name]
    found: Object = {}
    for number, value in _entries(data):
        field = fields.get(number)
        if field is not None:
            _put(found, f"{name}.{field.name}", field, value, depth, raw=raw)
    return special(found) if special else found


def _put(found: Object, path: str, field: Field, value: int | bytes, depth: int, *, raw: bool) -> None:
    if field.shape == "%":
        key, item = _pair(value, field.type, depth)
        found.setdefault(field.name, {})[key] = item
        return
    item = _value(field.type, value, depth, raw=raw)
    if field.shape == "*":
        found.setdefault(field.name, []).append(item)
    elif path in INLINED:
        found.update(item)
    else:
        found[field.name] = item


def _pair(value: int | bytes, kind: str, depth: int) -> tuple[str, Any]:
    parts = dict(_entries(_bytes(value)))
    empty: int | bytes = 0 if kind in ("bool", "int", "double") else b""
    return _bytes(parts.get(1, b"")).decode(), _value(kind, parts.get(2, empty), depth, raw=False)


def _value(kind: str, value: int | bytes, depth: int, *, raw: bool) -> Any:
    if kind == "string":
        return _bytes(value).decode()
    if kind == "bytes":
        return _bytes(value) if raw else base64.b64encode(_bytes(value)).decode()
    if kind in ("int", "bool", "double"):
        if not isinstance(value, int):
            raise _Malformed
        return _NUMBERS[kind](value)
    return _message(
        kind, _bytes(value), depth=depth + 1, raw=raw or kind in ("runtime.RawExtension", "meta.v1.FieldsV1")
    )


_NUMBERS: dict[str, Callable[[int], Any]] = {
    "int": lambda value: value - (1 << 64) if value >= 1 << 63 else value,
    "bool": bool,
    "double": lambda value: struct.unpack("<d", struct.pack("<Q", value))[0],
}


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _Malformed
    return value


def _entries(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and their raw values: numbers for varints and fixed widths, bytes for the rest."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        length, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}.get(wire, -1), at)
        if length < 0 or at + length > end:
            raise _Malformed
        chunk, at = data[at : at + length], at + length
        yield number, chunk if wire == 2 else int.from_bytes(chunk, "little")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise _Malformed


# Types that JSON shows in a form of their own


def _time(found: Object, *, micro: bool = False) -> str | None:
    seconds, nanos = found.get("seconds", 0), found.get("nanos", 0)
    if not found or (seconds == 0 and nanos == 0):
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanos // 1000:06d}Z" if micro else f"{text}Z"


def _int_or_string(found: Object) -> int | str:
    return str(found.get("strVal", "")) if found.get("type") == 1 else int(found.get("intVal", 0))


_SPECIAL: dict[str, Callable[[Object], Any]] = {
    "authentication.v1.ExtraValue": lambda found: found.get("items", []),
    "authorization.v1.ExtraValue": lambda found: found.get("items", []),
    "certificates.v1.ExtraValue": lambda found: found.get("items", []),
    "intstr.IntOrString": _int_or_string,
    "meta.v1.Duration": lambda found: f"{found.get('duration', 0) / 1e9:g}s",
    "meta.v1.FieldsV1": lambda found: json.loads(found.get("Raw") or b"{}"),
    "meta.v1.MicroTime": lambda found: _time(found, micro=True),
    "meta.v1.Time": _time,
    "resource.Quantity": lambda found: found.get("string", "0"),
    "runtime.RawExtension": lambda found: json.loads(found.get("raw") or b"null"),
}
