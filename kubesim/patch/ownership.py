"""Which fields a value sets, and which of them a change adds, modifies and removes: structured-merge-diff over our shapes.

Atomic structs, maps and lists are one field. Lists of type map are followed by their keys, lists of type set by their values. Where no
schema is known, maps are followed and lists are atomic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from kubesim.patch.fieldset import MEMBER, FieldSet
from kubesim.schema.shape import ANY, Shape


class Comparison(NamedTuple):
    removed: FieldSet
    modified: FieldSet
    added: FieldSet


def followed(shape: Shape, value: Any) -> bool:
    """Whether ownership goes below this value: a non-empty granular map or list."""
    if not value:
        return False
    if isinstance(value, dict):
        return not shape.atomic and shape.kind != "scalar"
    return isinstance(value, list) and shape.list_type in ("map", "set")


def items(shape: Shape, value: list[Any]) -> Iterator[tuple[str, Any]]:
    """A granular list's items with their path elements; an item without its keys cannot be followed and is left out."""
    for item in value:
        element = path_element(shape, item)
        if element is not None:
            yield element, item


def path_element(shape: Shape, item: Any) -> str | None:
    if shape.list_type == "set":
        return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
    if not isinstance(item, dict):
        return None
    keys = {}
    fields = shape.element.fields if shape.element is not None else {}
    for key in shape.keys:
        default = fields[key].default if key in fields else None
        if key in item:
            keys[key] = item[key]
        elif default is not None:
            keys[key] = default
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode() if keys else None


def whole(shape: Shape, value: Any) -> FieldSet:
    """The node of a value that was not there before: itself and everything below."""
    if not followed(shape, value):
        return {}
    node: FieldSet = {MEMBER: {}}
    if isinstance(value, dict):
        fields = shape.fields
        element = shape.element or ANY
        for key, child in value.items():
            nested = isinstance(child, (dict, list))
            node["f:" + key] = whole(fields.get(key) or element, child) if nested else {}
    else:
        element = shape.element or ANY
        for path, item in items(shape, value):
            node[path] = whole(element, item)
    return node


def compare(shape: Shape, old: Any, new: Any) -> Comparison:
    """What turned `old` into `new`. Both are objects (or parts) of this shape; their root is not part of the sets."""
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    fields, element = shape.fields, shape.element or ANY
    for key, child in new.items():
        path = "f:" + key
        if key not in old:
            added[path] = whole(fields.get(key) or element, child)
        elif old[key] != child:
            _descend(fields.get(key) or element, path, old[key], child, Comparison(removed, modified, added))
    for key, child in old.items():
        if key not in new:
            removed["f:" + key] = whole(fields.get(key) or element, child)
    return Comparison(removed, modified, added)


def _descend(shape: Shape, path: str, old: Any, new: Any, into: Comparison) -> None:
    found = _compare(shape, old, new)
    if found is None:
        into.modified[path] = {}
        return
    for part, target in zip(found, into, strict=True):
        if part:
            target[path] = part


def _compare(shape: Shape, old: Any, new: Any) -> Comparison | None:
    """None: it changed as a whole."""
    if not followed(shape, old) and not followed(shape, new):
        return None
    one, other = old or new, new or old
    if isinstance(one, dict) and isinstance(other, dict):
        return compare(shape, old or {}, new or {})
    if isinstance(one, list) and isinstance(other, list):
        return _compare_lists(shape, old or [], new or [])
    return None


def _compare_lists(shape: Shape, old: list[Any], new: list[Any]) -> Comparison:
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    before, after = dict(items(shape, old)), dict(items(shape, new))
    element = shape.element or ANY
    for path, child in after.items():
        if path not in before:
            added[path] = whole(element, child)
        elif before[path] != child:
            _descend(element, path, before[path], child, Comparison(removed, modified, added))
    for path, child in before.items():
        if path not in after:
            removed[path] = whole(element, child)
    return Comparison(removed, modified, added)


def fields_of(shape: Shape, value: Any) -> FieldSet:
    """The set of an applied configuration: its leaves, items of granular lists, and entries of maps; named fields only where empty."""
    found: FieldSet = {}
    if isinstance(value, dict):
        for key, child in value.items():
            named = key in shape.fields
            _put(found, "f:" + key, shape.child(key), child, member=not named or child is None or child == {})
    elif isinstance(value, list):
        for path, child in items(shape, value):
            _put(found, path, shape.element or ANY, child, member=True)
    return found


def _put(found: FieldSet, path: str, shape: Shape, value: Any, *, member: bool) -> None:
    if not followed(shape, value):
        if value != [] or shape.list_type == "atomic" or member:
            found[path] = {}
        return
    below = fields_of(shape, value)
    found[path] = {MEMBER: {}, **below} if member and below else below
