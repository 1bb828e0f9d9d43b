"""`Model`: everything kubesim knows of one kind's objects. `Schemas`: one Model per served kind."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from kubesim.errors import BadRequest
from kubesim.resources import Object, Resource
from kubesim.schema import types
from kubesim.schema.decoding import DecodeError, decode, unknown_fields
from kubesim.schema.shape import Shape
from kubesim.schema.structural import Structural


class Model:
    """A kind's shape, and reading objects of it. `structural` is there for custom kinds only."""

    def __init__(self, resource: Resource, shape: Shape, structural: Structural | None = None) -> None:
        self.resource = resource
        self.shape = shape
        self.structural = structural
        self.custom = structural is not None
        self.has_status = any(name == "status" for name, _ in resource.subresources)

    def __repr__(self) -> str:
        return f"Model({self.resource.key})"

    @cached_property
    def zero(self) -> Object:
        """An object of this kind before anything was set: what a create is compared with to see which fields the creator set."""
        base: Object = {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
        return base if self.structural else base | _zero(self.shape)

    def unknown_fields(self, obj: Object) -> list[str]:
        """'unknown field "spec.replica"', one per field that the kind does not have."""
        found = self.structural.unknown_fields(obj) if self.structural else unknown_fields(self.shape, obj)
        return [f'unknown field "{path}"' for path in sorted(found)]

    def strict_error(self, problems: list[str]) -> BadRequest:
        """What fieldValidation=Strict answers."""
        return self.unreadable("strict decoding error: " + ", ".join(problems))

    def unreadable(self, problem: str) -> BadRequest:
        kind, version = self.resource.kind, self.resource.version
        return BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {problem}')

    def decode(self, obj: Object) -> Object:
        """A new object as the server keeps it (custom kinds: pruned). Raises BadRequest where a field has the wrong type."""
        try:
            if self.structural is not None:
                return self.structural.read(obj)
            decoded = decode(self.shape, obj)
        except DecodeError as error:
            raise self.unreadable(str(error)) from error
        return decoded  # type: ignore[no-any-return]


def _zero(shape: Shape) -> Object:
    """The fields a zero Go value shows: its structs, and the nulls and zeros of fields without omitempty."""
    zero: dict[str, Any] = {}
    for name, field in shape.fields.items():
        if field.value:
            zero[name] = _zero(field)
        elif field.required or field.bare:
            zero[name] = None if field.kind != "scalar" else {"bool": False, "int32": 0, "int64": 0}.get(field.name, "")
    return zero


class Schemas:
    """The models of the served kinds. Built-in ones are made when first asked for; custom ones come and go with their definitions."""

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}
        self._definitions: dict[str, Object] = {}

    def of(self, resource: Resource) -> Model:
        """The model of a kind. Raises KeyError for a custom kind that was not added."""
        found = self._models.get(resource.key)
        if found is None or found.resource is not resource:
            found = self._models[resource.key] = self._make(resource)
        return found

    def _make(self, resource: Resource) -> Model:
        if resource.custom:
            return Model(resource, *_custom(self._definitions[resource.key], resource.version))
        return Model(resource, types.struct(self._type_of(resource)))

    def _type_of(self, resource: Resource) -> str:
        name = types.name_of(resource.api_version, resource.kind)
        if name is None:
            raise KeyError(resource.key)
        return name

    def add(self, resource: Resource, crd: Object) -> None:
        """Serve a custom kind at `resource.version`, as its CustomResourceDefinition describes it."""
        self._definitions[resource.key] = crd
        self._models[resource.key] = Model(resource, *_custom(crd, resource.version))

    def remove(self, resource: Resource) -> None:
        self._definitions.pop(resource.key, None)
        self._models.pop(resource.key, None)

    def crd(self, resource: Resource) -> Object | None:
        """The definition behind a custom kind."""
        return self._definitions.get(resource.key)


def _custom(crd: Object, version: str) -> tuple[Shape, Structural]:
    spec = next(each for each in crd["spec"]["versions"] if each["name"] == version)
    structural = Structural(spec.get("schema", {}).get("openAPIV3Schema", {}), crd=crd, version=version)
    return structural.shape, structural
