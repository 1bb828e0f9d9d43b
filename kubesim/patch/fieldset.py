"""Sets of field paths, kept in the form they have in `managedFields` (FieldsV1), and the algebra on them.

A set is a tree of dicts. Keys are path elements: "f:name" a field, "k:{...}" an item of a map list, "v:..." an item of a set list. A node that is
a member and has members below carries "."; a node `{}` is a member with nothing below; a node with children and without "." is not a member
itself. The root is never a member, so `{}` at the root is the empty set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubesim.schema.shape import Shape

FieldSet = dict[str, Any]
MEMBER = "."


def is_member(node: FieldSet) -> bool:
    return not node or MEMBER in node


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    """A node put together; None where nothing is left of it."""
    if not children:
        return {} if member else None
    return {MEMBER: {}, **children} if member else children


def union(first: FieldSet, second: FieldSet) -> FieldSet:
    if not first or not second:
        return first or second
    merged = {key: child for key, child in first.items() if key != MEMBER}
    for key, child in second.items():
        if key != MEMBER:
            merged[key] = _union_nodes(merged[key], child) if key in merged else child
    return {MEMBER: {}, **merged} if MEMBER in first or MEMBER in second else merged


def _union_nodes(first: FieldSet, second: FieldSet) -> FieldSet:
    if not first:
        return second if MEMBER in second or not second else {MEMBER: {}, **second}
    if not second:
        return first if MEMBER in first else {MEMBER: {}, **first}
    return union(first, second)


def difference(first: FieldSet, second: FieldSet) -> FieldSet:
    """What is in the first and not in the second; removing a path leaves the paths below it."""
    children = {}
    for key, child in first.items():
        if key == MEMBER:
            continue
        left = _difference_nodes(child, second[key]) if key in second else child
        if left is not None:
            children[key] = left
    return children


def _difference_nodes(first: FieldSet, second: FieldSet) -> FieldSet | None:
    return _node(is_member(first) and not is_member(second), difference(first, second))


def recursive_difference(first: FieldSet, second: FieldSet) -> FieldSet:
    """As `difference`, and everything below a path of the second goes as well."""
    children: FieldSet = {}
    for key, child in first.items():
        if key == MEMBER:
            continue
        other = second.get(key)
        if other is None:
            children[key] = child
        elif not is_member(other):
            left = _node(is_member(child), recursive_difference(child, other))
            if left is not None:
                children[key] = left
    return children


def intersection(first: FieldSet, second: FieldSet) -> FieldSet:
    children = {}
    for key, child in first.items():
        if key != MEMBER and key in second:
            both = _node(is_member(child) and is_member(second[key]), intersection(child, second[key]))
            if both is not None:
                children[key] = both
    return children


def leaves(fields: FieldSet, path: str = "") -> Iterator[str]:
    """Paths of members with no member below, as conflicts name them: `.spec.containers[name="main"].image`."""
    for key in sorted(key for key in fields if key != MEMBER):
        here = path + element_text(key)
        below = list(leaves(fields[key], here))
        yield from below or [here]


def element_text(key: str) -> str:
    kind, _, text = key.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    if kind == "i":
        return f"[{text}]"
    pairs = json.loads(text)
    return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(pairs.items())) + "]"


def named_fields_as_members(fields: FieldSet, shape: Shape) -> FieldSet:
    """The set with every struct field on the way to a member added: a field that was set below was itself set."""
    found: FieldSet = {}
    for key, child in fields.items():
        if key == MEMBER:
            found[MEMBER] = {}
            continue
        below = shape.element or Shape(kind="any") if key[0] != "f" else shape.child(key[2:])
        inner = named_fields_as_members(child, below)
        if key[0] == "f" and key[2:] in shape.fields and inner:
            inner = {MEMBER: {}, **inner}
        found[key] = inner
    return found
