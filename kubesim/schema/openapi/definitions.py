"""The schemas of an OpenAPI document: one per type, built-in types from the shipped table, custom ones from their definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubesim.resources import Object, Resource, clone
from kubesim.schema import types
from kubesim.schema.model import Model

META = "apimachinery.pkg.apis.meta.v1"
TIME, MICRO = f"{META}.Time", f"{META}.MicroTime"
QUANTITY, INT_OR_STRING = "apimachinery.pkg.api.resource.Quantity", "apimachinery.pkg.util.intstr.IntOrString"
FIELDS, RAW = f"{META}.FieldsV1", "apimachinery.pkg.runtime.RawExtension"
LIST_META, OBJECT_META, STATUS, OPTIONS = (
    f"{META}.ListMeta",
    f"{META}.ObjectMeta",
    f"{META}.Status",
    f"{META}.DeleteOptions",
)
OUTSIDE = ("apimachinery", "apiextensions-apiserver", "kube-aggregator", "metrics")
SCALARS: dict[str, Object] = {
    "string": {"type": "string"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
}
NAMED = {"time": TIME, "microtime": MICRO, "quantity": QUANTITY, "intstr": INT_OR_STRING}
SPECIAL: dict[str, Object] = {
    TIME: {
        "description": "Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.",
        "type": "string",
        "format": "date-time",
    },
    MICRO: {
        "description": "MicroTime is version of Time with microsecond level precision.",
        "type": "string",
        "format": "date-time",
    },
    FIELDS: {
        "description": "FieldsV1 stores a set of fields in a data structure like a Trie, in JSON format.",
        "type": "object",
    },
    RAW: {"description": "RawExtension is used to hold extensions in external versions.", "type": "object"},
}
EITHER: dict[str, tuple[Object, str]] = {
    QUANTITY: ({"description": "Quantity is a fixed-point representation of a number."}, "number"),
    INT_OR_STRING: ({"description": "IntOrString is a type that can hold an int32 or a string."}, "integer"),
}


def public_name(name: str) -> str:
    """A type's name in the document."""
    return f"io.k8s.{name}" if name.split(".")[0] in OUTSIDE else f"io.k8s.api.{name}"


def custom_name(resource: Resource) -> str:
    """A custom kind's: its group backwards, version, kind."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


class Builder:
    """Collects the schemas a document refers to. `version` is 2 or 3: they differ in how references and unions are written."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.docs = types.docs()
        self.schemas: dict[str, Object] = {}

    def reference(self, name: str) -> Object:
        """A reference to a type; the type (and what it refers to) is put into the document."""
        self._add(name)
        return {"$ref": self._at(public_name(name))}

    def _at(self, public: str) -> str:
        return f"#/definitions/{public}" if self.version == 2 else f"#/components/schemas/{public}"

    def _add(self, name: str) -> None:
        public = public_name(name)
        if public in self.schemas:
            return
        self.schemas[public] = {}
        self.schemas[public] = self._schema(name)

    def _schema(self, name: str) -> Object:
        if name in SPECIAL:
            return dict(SPECIAL[name])
        if name in EITHER:
            about, other = EITHER[name]
            if self.version == 2:
                return {**about, "type": "string"} | ({"format": "int-or-string"} if other == "integer" else {})
            return {**about, "oneOf": [{"type": "string"}, {"type": other}]} | (
                {"format": "int-or-string"} if other == "integer" else {}
            )
        return self._struct(name)

    def _struct(self, name: str) -> Object:
        fields = types.table()["types"][name]["fields"]
        about = self.docs.get(name, {})
        properties = {field: self._property(spec, about.get(field, "")) for field, spec in sorted(fields.items())}
        schema: Object = {"description": about.get("", ""), "type": "object", "properties": properties}
        required = [field for field, spec in fields.items() if spec.get("required")]
        schema |= {"required": sorted(required)} if required else {}
        kinds = list(_kinds(name))
        schema |= {"x-kubernetes-group-version-kind": kinds} if kinds else {}
        return schema | ({"x-kubernetes-map-type": "atomic"} if types.table()["types"][name].get("atomic") else {})

    def _property(self, spec: Object, about: str) -> Object:
        found = self._value(spec["type"])
        extensions = {f"x-kubernetes-{key}": value for key, value in spec.get("keys", {}).items()}
        if "$ref" in found and self.version == 3:
            found = {"allOf": [found]} | ({"default": {}} if spec.get("value") else {})
        return {"description": about, **found, **extensions} if about else {**found, **extensions}

    def _value(self, text: str) -> Object:
        if text.startswith("["):
            return {"type": "array", "items": self._value(text[1:-1])}
        if text.startswith("{"):
            return {"type": "object", "additionalProperties": self._value(text[1:-1])}
        if text in SCALARS:
            return dict(SCALARS[text])
        if text in NAMED:
            return self.reference(NAMED[text])
        return {"x-kubernetes-preserve-unknown-fields": True} if text == "any" else self.reference(text)

    def kind(self, model: Model) -> Object:
        """A reference to a kind's type."""
        if model.structural is None:
            return self.reference(model.shape.name)
        public = custom_name(model.resource)
        if public not in self.schemas:
            self.schemas[public] = self._custom(model)
        return {"$ref": self._at(public)}

    def list(self, model: Model) -> Object:
        """A reference to a kind's list type."""
        public = f"{custom_name(model.resource) if model.structural else public_name(model.shape.name)}List"
        if public not in self.schemas:
            resource = model.resource
            properties = {
                "apiVersion": {"type": "string"},
                "items": {"type": "array", "items": self.kind(model)},
                "kind": {"type": "string"},
                "metadata": self._property({"type": LIST_META}, "Standard list metadata."),
            }
            gvk = {
                "group": resource.group,
                "kind": resource.list_kind or f"{resource.kind}List",
                "version": resource.version,
            }
            self.schemas[public] = {
                "description": f"{resource.kind}List is a list of {resource.kind}",
                "type": "object",
                "required": ["items"],
                "properties": properties,
                "x-kubernetes-group-version-kind": [gvk],
            }
        return {"$ref": self._at(public)}

    def _custom(self, model: Model) -> Object:
        assert model.structural is not None
        schema = clone(model.structural.schema)
        schema = _v2(schema) if self.version == 2 else schema
        about = self.docs.get("core.v1.ConfigMap", {})
        properties = schema.setdefault("properties", {})
        properties["apiVersion"] = {"type": "string", "description": about.get("apiVersion", "")}
        properties["kind"] = {"type": "string", "description": about.get("kind", "")}
        properties["metadata"] = self._property({"type": OBJECT_META, "value": False}, about.get("metadata", ""))
        schema["type"] = "object"
        schema["x-kubernetes-group-version-kind"] = [gvk(model.resource)]
        return schema


def gvk(resource: Resource) -> Object:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _kinds(name: str) -> Iterator[Object]:
    """The kinds a type is."""
    for key, each in types.table()["kinds"].items():
        if each == name:
            version, _, kind = key.rpartition("/")
            group, _, number = version.rpartition("/")
            yield {"group": group, "kind": kind, "version": number}


V2_UNKNOWN = ("anyOf", "oneOf", "allOf", "not", "nullable", "default", "x-kubernetes-validations")


def _v2(schema: Any) -> Any:
    """A structural schema in what version 2 can say."""
    if isinstance(schema, list):
        return [_v2(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {
            key: schema[key] for key in ("type", "description", "x-kubernetes-preserve-unknown-fields") if key in schema
        }
    made = {key: value for key, value in schema.items() if key not in V2_UNKNOWN}
    if isinstance(made.get("properties"), dict):
        made["properties"] = {key: _v2(value) for key, value in made["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _v2(made[key])
    return made
