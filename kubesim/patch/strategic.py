"""Strategic merge patch: lists merge by key as each type's patch strategy says, directives delete, replace and order.

The rules, the order of what comes out, and what is an error follow k8s.io/apimachinery's strategicpatch. Directives: `$patch` (replace, delete,
merge), `$retainKeys`, `$setElementOrder/<field>`, `$deleteFromPrimitiveList/<field>`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.errors import BadRequest, Invalid
from kubesim.patch.operations import REJECTED
from kubesim.resources import Object, clone
from kubesim.schema.model import Model
from kubesim.schema.shape import ANY, Shape

PATCH, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_merge(model: Model, obj: Object, patch: object) -> Object:
    """The patched object. Raises BadRequest for a malformed patch, Invalid for one that does not fit the object."""
    if not isinstance(patch, dict):
        raise BadRequest("json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _map(clone(obj), clone(patch), model.shape)


def _map(original: Object, patch: Object, shape: Shape) -> Object:
    """Merge a map; both arguments are ours to change."""
    if PATCH in patch:
        directive = patch.pop(PATCH)
        if directive == "replace":
            return patch
        if directive == "delete":
            return {}
        if directive != "merge":
            raise BadRequest(f"unknown patch type found in patch: {directive}")
    _retain(original, patch)
    _ordered(original, patch, shape)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            _delete_values(original, key.removeprefix(DELETE_FROM), value)
        elif value is None:
            original.pop(key, None)
        elif type(original.get(key)) is not type(value):
            original[key] = plain(value)
        elif isinstance(value, dict):
            original[key] = _map(original[key], value, shape.child(key))
        elif isinstance(value, list):
            original[key] = _list(original[key], value, shape.child(key))
        else:
            original[key] = value
    return original


def _retain(original: Object, patch: Object) -> None:
    keys = patch.pop(RETAIN, None)
    if keys is None:
        return
    if not isinstance(keys, list):
        raise BadRequest("invalid patch format of retainKeys")
    if any(key not in keys for key, value in patch.items() if value is not None and not key.startswith("$")):
        raise BadRequest("invalid patch format of retainKeys")
    for key in [key for key in original if key not in keys]:
        del original[key]


def _delete_values(original: Object, key: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequest("invalid patch format of primitive list")
    if isinstance(original.get(key), list):
        original[key] = [value for value in original[key] if value not in values]


def _ordered(original: Object, patch: Object, shape: Shape) -> None:
    """Merge the lists whose order the patch states, and take them out of the patch."""
    for directive in [key for key in patch if key.startswith(ORDER)]:
        order = patch.pop(directive)
        field = directive.removeprefix(ORDER)
        below = shape.child(field)
        if not isinstance(order, list):
            raise BadRequest("invalid patch format of setElementOrder list")
        _check_order(patch.get(field), order, below)
        before = original.get(field) if isinstance(original.get(field), list) else None
        change = patch.pop(field) if isinstance(patch.get(field), list) else None
        if before is None and change is None:
            continue
        merged = (
            plain(change) if before is None else _list(list(before), change, below) if change is not None else before
        )
        original[field] = _sorted(merged, order, before or [], _key_of(below))


def _check_order(change: Any, order: list[Any], shape: Shape) -> None:
    """Every element of the patch must be in the order it states, in that order."""
    if not isinstance(change, list):
        return
    key = _key_of(shape)
    wanted = [key(item) for item in change if not (isinstance(item, dict) and PATCH in item)]
    stated = [key(item) for item in order]
    at = 0
    for item in wanted:
        if item not in stated[at:]:
            raise Invalid(REJECTED)
        at += stated[at:].index(item)


def _list(original: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    """Merge a list where its strategy says so, else replace it."""
    if not shape.merge:
        return [plain(item) for item in patch]
    items, replace = [], False
    for item in patch:
        directive = item.get(PATCH) if isinstance(item, dict) else None
        if directive is None:
            items.append(item)
        elif directive == "replace":
            replace = True
        elif directive == "delete":
            _delete_item(original, item, shape)
        else:
            raise BadRequest(f"unknown patch type found in patch: {directive}")
    if replace:
        return [plain(item) for item in items]
    before = list(original)
    merged = _merge_items(original, items, shape)
    return _sorted(merged, items, before, _key_of(shape))


def _delete_item(original: list[Any], item: Object, shape: Shape) -> None:
    if shape.merge_key not in item:
        raise BadRequest("delete patch type with no merge key defined")
    original[:] = [each for each in original if each.get(shape.merge_key) != item[shape.merge_key]]


def _merge_items(original: list[Any], items: list[Any], shape: Shape) -> list[Any]:
    if not shape.merge_key:
        return original + [item for at, item in enumerate(items) if item not in original and item not in items[:at]]
    for item in items:
        if not isinstance(item, dict) or item.get(shape.merge_key) is None:
            raise Invalid(f"map: {item} does not contain declared merge key: {shape.merge_key}")
        at = next((n for n, each in enumerate(original) if each.get(shape.merge_key) == item[shape.merge_key]), None)
        if at is None:
            original.append(plain(item))
        else:
            original[at] = _map(original[at], dict(item), shape.element or ANY)
    return original


def _key_of(shape: Shape) -> Callable[[Any], Any]:
    if not shape.merge_key:
        return lambda item: item
    return lambda item: item.get(shape.merge_key) if isinstance(item, dict) else item


def _sorted(merged: list[Any], stated: list[Any], before: list[Any], key: Callable[[Any], Any]) -> list[Any]:
    """Items the patch names, in its order, between items only the server has, in theirs."""
    named = [key(item) for item in stated]
    was = [key(item) for item in before]
    patched = sorted((item for item in merged if key(item) in named), key=lambda item: named.index(key(item)))
    server = sorted((item for item in merged if key(item) not in named), key=lambda item: _at(was, key(item)))
    result: list[Any] = []
    while patched and server:
        left, right = _at(was, key(server[0])), _at(was, key(patched[0]))
        result.append(server.pop(0) if left < len(was) and right < len(was) and left < right else patched.pop(0))
    return result + patched + server


def _at(keys: list[Any], key: Any) -> int:
    return keys.index(key) if key in keys else len(keys)


def plain(value: Any) -> Any:
    """A value that was not there before: without nulls and directives, and without what a directive deletes."""
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items() if child is not None and not key.startswith("$")}
    if isinstance(value, list):
        return [plain(item) for item in value if not (isinstance(item, dict) and PATCH in item)]
    return value
