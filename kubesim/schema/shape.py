"""A `Shape` says how a value is built: which fields, how its lists merge, what is atomic.

Built-in kinds get theirs from the shipped table (`types`), custom kinds from their structural schema (`structural.shape`). Decoding,
strategic merge, field ownership and OpenAPI all read the same shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

SCALARS = frozenset({"string", "int32", "int64", "bool", "double", "quantity", "intstr", "time", "microtime", "bytes"})
Kind = Literal["scalar", "list", "map", "any"]


class Shape:
    """One node. `name` is a scalar's type or a struct's name; `value` a Go struct that is always there; `bare` shows
    as null or zero where nothing is set; `default` a list key's default."""

    __slots__ = (
        "_fields",
        "_load",
        "atomic",
        "bare",
        "codec",
        "default",
        "element",
        "keys",
        "kind",
        "list_type",
        "merge",
        "merge_key",
        "name",
        "path",
        "required",
        "value",
    )

    def __init__(
        self,
        *,
        kind: Kind,
        name: str = "",
        element: Shape | None = None,
        atomic: bool = False,
        load: Callable[[], dict[str, Shape]] | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.name = name
        self.element = element
        self.atomic = atomic
        self.list_type = "atomic" if kind == "list" else ""
        self.keys: tuple[str, ...] = ()
        self.merge_key = ""
        self.merge = False
        self.required = False
        self.value = False
        self.bare = False
        self.default: Any = None
        self.path = ""
        self.codec: Any = None
        self._load = load
        self._fields: dict[str, Shape] | None = None

    @property
    def struct(self) -> bool:
        """Whether it has named fields (as opposed to a map of anything)."""
        return self._load is not None

    @property
    def fields(self) -> dict[str, Shape]:
        if self._fields is None:
            self._fields = self._load() if self._load is not None else {}
        return self._fields

    def child(self, key: str) -> Shape:
        """The shape of a map's value: a field's, else the element's, else anything."""
        return self.fields.get(key) or self.element or ANY

    def derive(self, **changes: Any) -> Shape:
        """The same structure with other properties, as a field of a type has them."""
        copy = Shape.__new__(Shape)
        for slot in Shape.__slots__:
            setattr(copy, slot, changes.get(slot, getattr(self, slot)))
        if self._load is not None:
            copy._load = lambda: self.fields
        copy.codec = None
        return copy

    def __repr__(self) -> str:
        return f"Shape({self.kind} {self.name})"


ANY = Shape(kind="any", name="any")
"""Anything: maps are granular, lists atomic, as Kubernetes deduces them."""
