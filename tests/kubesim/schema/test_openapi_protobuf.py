"""OpenAPI v2 as protobuf: read back with a reader that knows nothing but the wire format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import builtin
from kubesim.schema import Schemas, openapi
from kubesim.schema.openapi import protobuf

DEFINITIONS, PATHS, PATCH, PARAMETERS, EXTENSIONS, PROPERTIES = 9, 8, 8, 8, 13, 25


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message; lengths must come out even."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        size = {0: 0, 1: 8, 2: None}[key & 7]
        if size is None:
            size = varint()
            assert at + size <= len(data)
        yield key >> 3, data[at : at + size] if key & 7 else varint()
        at += size


def pairs(data: bytes, *, number: int = 1) -> dict[str, bytes]:
    """A map, which is a list of messages with name and value."""
    found = [dict(fields(value)) for at, value in fields(data) if at == number]
    return {each[1].decode(): each.get(2, b"") for each in found}


@pytest.fixture(scope="module")
def models() -> list[Any]:
    schemas = Schemas()
    return [schemas.of(resource) for resource in builtin.resources() if resource.group in ("", "apps")]


@pytest.fixture(scope="module")
def document(models: list[Any]) -> dict[int, Any]:
    return dict(fields(protobuf.encode(openapi.v2(models))))


def test_every_definition_is_there_with_its_properties(models: list[Any], document: dict[int, Any]) -> None:
    found = pairs(document[DEFINITIONS])
    wanted = openapi.v2(models)["definitions"]
    assert found.keys() == wanted.keys()
    for name, schema in wanted.items():
        body = dict(fields(found[name]))
        assert pairs(body.get(PROPERTIES, b"")).keys() == (schema.get("properties") or {}).keys()
        assert body.get(4, b"").decode() == schema.get("description", "")


def test_a_patch_tells_its_kind_and_that_fields_are_validated(document: dict[int, Any]) -> None:
    """What kubectl looks for before it sends a List."""
    item = dict(fields(pairs(document[PATHS], number=2)["/api/v1/namespaces/{name}"]))
    operation = list(fields(item[PATCH]))
    kinds = [dict(fields(value)) for number, value in operation if number == EXTENSIONS]
    told = {each[1].decode(): dict(fields(each[2]))[2].decode() for each in kinds}
    assert told["x-kubernetes-group-version-kind"] == '{"group":"","kind":"Namespace","version":"v1"}'
    names = set()
    for number, value in operation:
        if number == PARAMETERS:
            parameter = dict(fields(dict(fields(value))[1]))  # ParametersItem.parameter
            if 2 in parameter:  # Parameter.non_body_parameter
                names.add(dict(fields(next(iter(dict(fields(parameter[2])).values()))))[4].decode())
    assert {"fieldValidation", "fieldManager", "dryRun"} <= names


def test_all_kinds_of_values() -> None:
    schema = {
        "minimum": 1.5,
        "maxLength": 300,
        "enum": ["a", 1],
        "default": [1],
        "items": {"type": "string"},
        "not": {},
    }
    document = {"definitions": {"X": schema | {"additionalProperties": True}}, "x-more": {"a": 1}}
    found = dict(fields(protobuf.encode(document)))
    body = list(fields(pairs(found[DEFINITIONS])["X"]))
    assert [value for number, value in body if number == 20] == [b'\x12\x03"a"', b"\x12\x011"]
    assert dict(body)[11] == 300
    assert dict(body)[9] == b"\x00\x00\x00\x00\x00\x00\xf8?"
    assert dict(body)[5] == b"\x12\x03[1]"
    assert dict(body)[21] == b"\x10\x01"
    assert dict(fields(found[16]))[1] == b"x-more"
