"""Custom resources by their structural schema: pruning, defaulting, the shape for merging, and (in `validating`, `cel`) validation."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from kubesim.errors import Cause
from kubesim.resources import Object, clone
from kubesim.schema import cel, types, validating
from kubesim.schema.decoding import decode, unknown_fields
from kubesim.schema.shape import ANY, Shape

Schema = dict[str, Any]
META = "apimachinery.pkg.apis.meta.v1.ObjectMeta"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
BLOCKED = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)
OF_RESOURCE = ("apiVersion", "kind", "metadata")


class Structural:
    """One version's schema of a custom kind. Its objects' apiVersion, kind and metadata are Kubernetes's, whatever the schema says of them."""

    def __init__(self, schema: Schema, *, crd: Object, version: str) -> None:
        self.schema = schema
        self.crd = crd
        self.version = version

    @cached_property
    def shape(self) -> Shape:
        """The shape by which objects merge and fields are owned."""
        return shape(self.schema, root=True)

    def read(self, obj: Object) -> Object:
        """The object as it is kept: unknown fields pruned, metadata as its Go type reads it. Raises DecodeError."""
        kept = prune(self.schema, obj, root=True)
        assert isinstance(kept, dict)
        if obj.get("metadata") is not None:
            kept["metadata"] = decode(types.struct(META), obj["metadata"], f"{obj.get('kind', '')}.metadata")
        return kept

    def unknown_fields(self, obj: Object) -> list[str]:
        found: list[str] = []
        _unknown(self.schema, obj, "", found)
        metadata = obj.get("metadata")
        return found + (unknown_fields(types.struct(META), metadata, "metadata") if isinstance(metadata, dict) else [])

    def default(self, obj: Object) -> None:
        """Fill in the schema's defaults, in place."""
        default(self.schema, obj)

    @cached_property
    def _has_rules(self) -> bool:
        return cel.has_rules(self.schema)

    def validate(self, obj: Object, old: Object | None = None) -> list[Cause]:
        """What is wrong with the object by its schema: first its form, then (where that is right) the CEL rules."""
        found = validating.validate(self.schema, obj)
        if self._has_rules:
            found += [Cause("FieldValueInvalid", BLOCKED, "<nil>")] if found else cel.validate(self.schema, obj, old)
        return found


def of_resource(schema: Schema, key: str, *, root: bool) -> bool:
    """Whether this is a field every (embedded) resource has, declared or not."""
    return key in OF_RESOURCE and (root or bool(schema.get(EMBEDDED)))


def below(schema: Schema, key: str) -> Schema | None:
    """The schema of a map's value; None where nothing is declared for this key."""
    properties = schema.get("properties")
    if properties and key in properties:
        return properties[key]  # type: ignore[no-any-return]
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        return additional
    return {PRESERVE: True} if additional is True else None


def prune(schema: Schema, value: Any, *, root: bool = False) -> Any:
    """A new value without what the schema does not declare."""
    if isinstance(value, dict):
        kept = {}
        for key, child in value.items():
            inner = below(schema, key)
            if of_resource(schema, key, root=root):
                kept[key] = clone(child)
            elif inner is not None:
                kept[key] = prune(inner, child)
            elif schema.get(PRESERVE):
                kept[key] = clone(child)
        return kept
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            return [prune(items, item) for item in value]
        return clone(value)
    return value


def _unknown(schema: Schema, value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            here = f"{path}.{key}" if path else key
            inner = below(schema, key)
            if of_resource(schema, key, root=not path):
                continue
            if inner is not None:
                _unknown(inner, child, here, found)
            elif not schema.get(PRESERVE):
                found.append(here)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for at, item in enumerate(value):
            _unknown(schema["items"], item, f"{path}[{at}]", found)


def default(schema: Schema, value: Any) -> None:
    """Fill in defaults, outside in; a null where null is not allowed counts as missing where there is a default."""
    if isinstance(value, dict):
        for key, inner in schema.get("properties", {}).items():
            if "default" in inner and (key not in value or (value[key] is None and not inner.get("nullable"))):
                value[key] = clone(inner["default"])
        for key in list(value):
            inner = below(schema, key)
            if inner is not None:
                default(inner, value[key])
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            default(schema["items"], item)


def shape(schema: Schema, *, root: bool = False) -> Shape:
    """The Shape of a schema: what merges by key, what is atomic, what is anything."""
    if schema.get(INT_OR_STRING):
        return Shape(kind="scalar", name="intstr")
    kind = schema.get("type")
    if kind == "array":
        return _list_shape(schema)
    if kind in ("string", "integer", "number", "boolean"):
        return Shape(kind="scalar", name=str(kind))
    if kind == "object" or schema.get("properties") or root:
        return _map_shape(schema, root=root)
    return ANY


def _list_shape(schema: Schema) -> Shape:
    items = schema.get("items")
    made = Shape(kind="list", name="array", element=shape(items) if isinstance(items, dict) else ANY)
    return made.derive(
        list_type=schema.get("x-kubernetes-list-type", "atomic"),
        keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
    )


def _map_shape(schema: Schema, *, root: bool) -> Shape:
    additional = schema.get("additionalProperties")
    element = shape(additional) if isinstance(additional, dict) else ANY if additional or schema.get(PRESERVE) else None
    made = Shape(
        kind="map",
        name="object",
        element=element,
        load=lambda: _field_shapes(schema, root=root),
    )
    return made.derive(atomic=schema.get("x-kubernetes-map-type") == "atomic")


def _field_shapes(schema: Schema, *, root: bool) -> dict[str, Shape]:
    fields = {}
    for name, inner in schema.get("properties", {}).items():
        fields[name] = shape(inner).derive(default=inner.get("default"), path=f".{name}")
    if root or schema.get(EMBEDDED):
        fields |= {"apiVersion": Shape(kind="scalar", name="string"), "kind": Shape(kind="scalar", name="string")}
        fields["metadata"] = types.struct(META)
    return fields
