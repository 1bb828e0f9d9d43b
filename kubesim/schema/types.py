"""What the built-in kinds look like: the shipped table of types (`types.json`), read once, turned into `Shape`s as they are asked for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from kubesim.schema.shape import SCALARS, Shape

HERE = Path(__file__).parent
LIST_KEY_DEFAULTS = {
    "core.v1.ContainerPort.protocol": "TCP",
    "core.v1.ServicePort.protocol": "TCP",
}
"""Keys of map lists that may be left out, and what they then are."""


@cache
def table() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((HERE / "types.json").read_text()))


def name_of(api_version: str, kind: str) -> str | None:
    """The type behind a kind: "core.v1.Pod"; None for a kind that is not built in."""
    return cast("str | None", table()["kinds"].get(f"{api_version}/{kind}"))


@cache
def struct(name: str) -> Shape:
    """The shape of a type by its name. Fields are filled in when first looked at, so that recursive types work."""
    spec = table()["types"][name]
    return Shape(kind="map", name=name, atomic=bool(spec.get("atomic")), load=lambda: _fields(name, spec["fields"]))


def _fields(owner: str, fields: dict[str, Any]) -> dict[str, Shape]:
    return {name: _field(owner, name, spec) for name, spec in fields.items()}


def _field(owner: str, name: str, spec: dict[str, Any]) -> Shape:
    keys = spec.get("keys", {})
    shape = shape_of(spec["type"])
    strategy = keys.get("patch-strategy", "").split(",")
    return shape.derive(
        atomic=shape.atomic or keys.get("map-type") == "atomic",
        list_type=keys.get("list-type", "atomic" if shape.kind == "list" else ""),
        keys=tuple(keys.get("list-map-keys", ())),
        merge_key=keys.get("patch-merge-key", ""),
        merge="merge" in strategy,
        required=bool(spec.get("required")),
        value=bool(spec.get("value")),
        bare=bool(spec.get("bare")),
        default=LIST_KEY_DEFAULTS.get(f"{owner}.{name}"),
        path=f"{owner}.{name}",
    )


@cache
def shape_of(text: str) -> Shape:
    """A shape from the table's words: "string", "[T]", "{T}" or a type's name."""
    if text.startswith("["):
        return Shape(kind="list", name=text, element=shape_of(text[1:-1]))
    if text.startswith("{"):
        return Shape(kind="map", name=text, element=shape_of(text[1:-1]))
    if text == "any":
        return Shape(kind="any", name="any")
    if text in SCALARS:
        return Shape(kind="scalar", name=text)
    return struct(text)


def docs() -> dict[str, dict[str, str]]:
    """Descriptions by type and field; "" is the type's own. Read at each call: half a megabyte that only OpenAPI needs."""
    return cast("dict[str, dict[str, str]]", json.loads((HERE / "docs.json").read_text()))
