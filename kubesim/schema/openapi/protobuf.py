"""An OpenAPI v2 document as gnostic's protobuf, the only form in which client-go reads it.

kubectl looks into it before it sends an object of kind List (`create -f`, `apply -f` of what `get -o yaml` printed) and for `explain
--output=plaintext-openapiv2`; Helm likewise. The messages follow gnostic's OpenAPIv2.proto: what JSON shows as a map is a list of pairs, what
may be one of several is wrapped in the number of its kind, and extensions (x-...) are YAML, of which JSON is a part. What the tables below
do not name is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from kubesim.resources import Object

MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED = (MEDIA, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")


class Codec(NamedTuple):
    """`wire` is protobuf's wire type; what `write` makes of a value stands behind its length where that is 2."""

    wire: int
    write: Callable[[Any], bytes]


Fields = Mapping[str, tuple[int, Codec]]
"""Field numbers and codecs by the names they have in JSON. A JSON list is a repeated field."""


def encode(document: Object) -> bytes:
    return _DOCUMENT.write(document)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def field(number: int, codec: Codec, value: Any) -> bytes:
    data = codec.write(value)
    return varint(number << 3 | codec.wire) + (varint(len(data)) if codec.wire == 2 else b"") + data


def message(fields: Fields, *, extensions: int = 0) -> Codec:
    """An object. `extensions` is the number of the field that holds what begins with x-."""

    def write(value: Object) -> bytes:
        parts = []
        for name, child in value.items():
            number, codec = fields.get(name, (extensions if name.startswith("x-") else 0, _EXTENSION))
            if codec is _EXTENSION:
                child = (name, child)
            if number:
                each = child if isinstance(child, list) and codec is not _WHOLE else (child,)
                parts += [field(number, codec, one) for one in each]
        return b"".join(parts)

    return Codec(2, write)


def wrapped(number: int, codec: Codec) -> Codec:
    """One of several."""
    return Codec(2, lambda value: field(number, codec, value))


def pair(codec: Codec) -> Codec:
    return Codec(2, lambda item: field(1, _STRING, item[0]) + field(2, codec, item[1]))


def mapping(codec: Codec, *, number: int = 1) -> Codec:
    """A map, as a message with pairs."""
    named = pair(codec)
    return Codec(2, lambda value: b"".join(field(number, named, item) for item in value.items()))


_STRING = Codec(2, lambda text: str(text).encode())
_BOOL = Codec(0, lambda value: b"\x01" if value else b"\x00")
_INT = Codec(0, lambda value: varint(int(value)))
_DOUBLE = Codec(1, lambda value: struct.pack("<d", value))
_ANY = Codec(2, lambda value: field(2, _STRING, orjson.dumps(value).decode()))
_WHOLE = Codec(2, _ANY.write)
"""Any value, of which a list is one."""
_EXTENSION = pair(_WHOLE)

_SCHEMA = Codec(2, lambda value: _SCHEMA_BODY.write(value))
_ADDITIONAL = Codec(2, lambda value: field(2, _BOOL, value) if isinstance(value, bool) else field(1, _SCHEMA, value))
_SCHEMA_BODY: Codec = message(
    {
        "$ref": (1, _STRING),
        "format": (2, _STRING),
        "title": (3, _STRING),
        "description": (4, _STRING),
        "default": (5, _WHOLE),
        "multipleOf": (6, _DOUBLE),
        "maximum": (7, _DOUBLE),
        "exclusiveMaximum": (8, _BOOL),
        "minimum": (9, _DOUBLE),
        "exclusiveMinimum": (10, _BOOL),
        "maxLength": (11, _INT),
        "minLength": (12, _INT),
        "pattern": (13, _STRING),
        "maxItems": (14, _INT),
        "minItems": (15, _INT),
        "uniqueItems": (16, _BOOL),
        "maxProperties": (17, _INT),
        "minProperties": (18, _INT),
        "required": (19, _STRING),
        "enum": (20, _ANY),
        "additionalProperties": (21, _ADDITIONAL),
        "type": (22, wrapped(1, _STRING)),
        "items": (23, wrapped(1, _SCHEMA)),
        "allOf": (24, _SCHEMA),
        "properties": (25, mapping(_SCHEMA)),
        "example": (30, _WHOLE),
    },
    extensions=31,
)
_NAMED = {"required": (1, _BOOL), "in": (2, _STRING), "description": (3, _STRING), "name": (4, _STRING)}
_QUERY = message(_NAMED | {"type": (6, _STRING), "format": (7, _STRING), "uniqueItems": (20, _BOOL)}, extensions=23)
_PATH = message(_NAMED | {"type": (5, _STRING), "format": (6, _STRING), "uniqueItems": (19, _BOOL)}, extensions=22)
_BODY = message(
    {
        "description": (1, _STRING),
        "name": (2, _STRING),
        "in": (3, _STRING),
        "required": (4, _BOOL),
        "schema": (5, _SCHEMA),
    }
)
_PLACES = {"query": wrapped(2, wrapped(3, _QUERY)), "path": wrapped(2, wrapped(4, _PATH)), "body": wrapped(1, _BODY)}
_PARAMETER = Codec(2, lambda value: field(1, _PLACES[value["in"]], value))
_RESPONSE = message({"description": (1, _STRING), "schema": (2, wrapped(1, _SCHEMA))}, extensions=5)
_OPERATION = message(
    {
        "tags": (1, _STRING),
        "summary": (2, _STRING),
        "description": (3, _STRING),
        "operationId": (5, _STRING),
        "produces": (6, _STRING),
        "consumes": (7, _STRING),
        "parameters": (8, _PARAMETER),
        "responses": (9, mapping(wrapped(1, _RESPONSE))),
        "deprecated": (11, _BOOL),
    },
    extensions=13,
)
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_ITEM = message(
    {method: (number, _OPERATION) for number, method in enumerate(_METHODS, 2)} | {"parameters": (9, _PARAMETER)},
    extensions=10,
)
_KEY = message({"type": (1, _STRING), "name": (2, _STRING), "in": (3, _STRING), "description": (4, _STRING)})
_STRINGS = Codec(2, lambda value: b"".join(field(1, _STRING, one) for one in value))
_DOCUMENT = message(
    {
        "swagger": (1, _STRING),
        "info": (2, message({"title": (1, _STRING), "version": (2, _STRING)})),
        "paths": (8, mapping(_ITEM, number=2)),
        "definitions": (9, mapping(_SCHEMA)),
        "security": (12, mapping(_STRINGS)),
        "securityDefinitions": (13, mapping(wrapped(2, _KEY))),
    },
    extensions=16,
)
