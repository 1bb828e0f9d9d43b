"""Server-side apply: a manager states the fields it cares about; the server merges, removes what the manager no longer states, and refuses to
take a field from another manager unless forced.

The steps are structured-merge-diff's: merge, prune by the manager's last set, then compare with the live object to find conflicts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubesim.errors import BadRequest, Cause, Conflict, Invalid
from kubesim.patch.fieldset import (
    MEMBER,
    FieldSet,
    difference,
    intersection,
    is_member,
    leaves,
    named_fields_as_members,
    union,
)
from kubesim.patch.managers import (
    APPLY,
    UPDATE,
    Entries,
    Entry,
    Manager,
    decode,
    ignored,
    release,
    set_managed,
    strip,
)
from kubesim.patch.ownership import compare, fields_of, followed, items
from kubesim.patch.typed import check
from kubesim.resources import Object, clone
from kubesim.schema.model import Model
from kubesim.schema.shape import ANY, Shape

BEFORE_FIRST_APPLY = "before-first-apply"


def server_side_apply(
    model: Model,
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    now: str,
    force: bool = False,
    subresource: str = "",
) -> Object:
    """The object after `manager` applied `applied`, with managedFields. It still needs decoding and defaults.

    Raises Conflict, with one cause per field, where another manager has a different value and `force` is not set; Invalid or BadRequest for a
    configuration that cannot be applied (no manager, managedFields in it, list items without or with duplicate keys).
    """
    _check(applied, manager)
    check(model, applied)
    base = clone(live) if live is not None else {}
    entries = _entries(model, live)
    me = Manager(manager, APPLY, model.resource.api_version, subresource)
    last = entries.get(me.identity)
    merged = merge(model.shape, base, applied)
    stated = strip(fields_of(model.shape, applied), ignored(model, subresource))
    mine = entries | {me.identity: Entry(me, stated, now)}
    merged = prune(model.shape, merged, mine, last)
    before = live if live is not None else model.zero
    found = compare(model.shape, _unmanaged(before), _unmanaged(merged))
    also = ignored(model, subresource)
    changed = strip(union(found.modified, found.added), also)
    gone = strip(found.removed, also)
    kept = _without_conflicts(mine, me, changed, gone=gone, force=force)
    if last is not None and live is not None and last.fields == stated and not (changed or gone):
        kept[me.identity] = last
    if me.identity in kept and not kept[me.identity].fields:
        del kept[me.identity]
    set_managed(merged, kept)
    return merged


def _check(applied: Object, manager: str) -> None:
    if not manager:
        message = "Required value: is required for apply patch"
        raise Invalid(
            f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {message}',
            details={"group": "meta.k8s.io", "kind": "PatchOptions"},
            causes=[Cause("FieldValueRequired", message, "fieldManager")],
        )
    metadata = applied.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


def _entries(model: Model, live: Object | None) -> Entries:
    """The live object's entries; an object nobody is known to manage is managed by "before-first-apply"."""
    if live is None:
        return {}
    managed = live.get("metadata", {}).get("managedFields")
    if managed:
        return decode(managed)
    everything = strip(compare(model.shape, {}, _unmanaged(live)).added, {})
    first = Manager(BEFORE_FIRST_APPLY, UPDATE, model.resource.api_version)
    return {first.identity: Entry(first, everything)} if everything else {}


def _unmanaged(obj: Object) -> Object:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _without_conflicts(entries: Entries, me: Manager, changed: FieldSet, *, gone: FieldSet, force: bool) -> Entries:
    """The entries after the others lost what this apply changed. Raises Conflict where they may not."""
    others = {identity: entry for identity, entry in entries.items() if identity != me.identity}
    if not force:
        clashes = [(entry, path) for entry in others.values() for path in leaves(intersection(entry.fields, changed))]
        if clashes:
            raise _conflict(clashes)
    left = release(others, [changed, gone])
    mine = entries[me.identity]
    return left | {me.identity: replace(mine, fields=difference(mine.fields, gone))}


def _conflict(clashes: list[tuple[Entry, str]]) -> Conflict:
    causes = [Cause("FieldManagerConflict", f"conflict with {describe(entry)}", path) for entry, path in clashes]
    if len(clashes) == 1:
        entry, path = clashes[0]
        return Conflict(f"Apply failed with 1 conflict: conflict with {describe(entry)}: {path}", causes=causes)
    by_manager: dict[str, list[str]] = {}
    for entry, path in clashes:
        by_manager.setdefault(describe(entry), []).append(path)
    parts = [
        f"conflicts with {name}:\n" + "\n".join(f"- {path}" for path in paths)
        for name, paths in sorted(by_manager.items())
    ]
    return Conflict(f"Apply failed with {len(clashes)} conflicts: " + "\n".join(parts), causes=causes)


def describe(entry: Entry) -> str:
    """A manager as conflicts name it."""
    manager = entry.manager
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    if manager.operation == UPDATE:
        text += f" using {manager.api_version}" + (f" at {entry.time}" if entry.time else "")
    return text


def merge(shape: Shape, live: Any, applied: Any) -> Any:
    """`applied` laid over `live`: granular maps and lists are merged, everything else is replaced."""
    if isinstance(applied, dict) and isinstance(live, dict) and not shape.atomic:
        merged = dict(live)
        for key, value in applied.items():
            merged[key] = merge(shape.child(key), live[key], value) if key in live else clone(value)
        return merged
    if isinstance(applied, list) and isinstance(live, list) and followed(shape, applied):
        return _merge_lists(shape, live, applied)
    return clone(applied)


def _merge_lists(shape: Shape, live: list[Any], applied: list[Any]) -> list[Any]:
    """Items in the applied order, with the live object's other items where they stood between them."""
    old, new = _indexed(shape, live), _indexed(shape, applied)
    element = shape.element or ANY
    left, right = list(old), list(new)
    shared = [path for path in right if path in old]
    done: set[str] = set()
    result: list[Any] = []

    def take(path: str) -> None:
        done.add(path)
        result.append(merge(element, old[path], new[path]) if path in old else clone(new[path]))
        if shared and shared[0] == path:
            shared.pop(0)

    at_left = at_right = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left) and at_right < len(right):
            path = left[at_left]
            if path == right[at_right]:
                take(path)
                at_left, at_right = at_left + 1, at_right + 1
                continue
            if path in new and shared and shared[0] != path:
                at_left += 1
                continue
        if at_left < len(left):
            path = left[at_left]
            if path not in new:
                result.append(old[path])
                at_left += 1
                continue
            if path in done:
                at_left += 1
        if at_right < len(right):
            take(right[at_right])
            at_right += 1
    return result


def _indexed(shape: Shape, value: list[Any]) -> dict[str, Any]:
    return dict(items(shape, value))


def prune(shape: Shape, merged: Object, entries: Entries, last: Entry | None) -> Object:
    """Remove what the manager stated last time and nobody, itself included, states now."""
    if last is None or not last.fields:
        return merged
    stated_last = named_fields_as_members(last.fields, shape)
    everything = named_fields_as_members(fields_of(shape, merged), shape)
    owned: FieldSet = {}
    for entry in entries.values():
        owned = union(owned, entry.fields)
    pruned = remove(shape, merged, stated_last)
    left = union(named_fields_as_members(fields_of(shape, pruned), shape), named_fields_as_members(owned, shape))
    pruned = remove(shape, merged, difference(everything, left))
    kept = named_fields_as_members(fields_of(shape, pruned), shape)
    result = remove(shape, merged, intersection(difference(everything, kept), stated_last))
    return result if isinstance(result, dict) else {}


def remove(shape: Shape, value: Any, fields: FieldSet) -> Any:
    """The value without these fields and items."""
    if isinstance(value, dict) and not shape.atomic:
        left = {}
        for key, child in value.items():
            node = fields.get("f:" + key)
            if node is None:
                left[key] = child
            elif not is_member(node):
                below = remove(shape.child(key), child, node)
                if below or not child:
                    left[key] = below
        return left
    if isinstance(value, list) and followed(shape, value):
        kept = []
        for path, item in items(shape, value):
            node = fields.get(path)
            if node is None:
                kept.append(item)
            elif not is_member(node):
                kept.append(
                    remove(shape.element or ANY, item, {key: child for key, child in node.items() if key != MEMBER})
                )
        return kept
    return value
