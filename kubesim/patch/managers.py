"""managedFields: who set which field, kept as one entry per manager, operation, version and subresource.

Ordinary writes are tracked as `Update` entries: the writer takes over what it changed, and everybody loses what went away. The order and the
times are Kubernetes's: appliers first, then by time and name; an entry's time moves only when its manager took something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from kubesim.errors import BadRequest
from kubesim.patch.fieldset import FieldSet, difference, recursive_difference, union
from kubesim.patch.ownership import compare
from kubesim.resources import Object
from kubesim.schema.model import Model

APPLY, UPDATE = "Apply", "Update"
UNTRACKED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        "f:name": {},
        "f:namespace": {},
        "f:creationTimestamp": {},
        "f:selfLink": {},
        "f:uid": {},
        "f:clusterName": {},
        "f:generation": {},
        "f:managedFields": {},
        "f:resourceVersion": {},
    },
}
UNTRACKED_METADATA = frozenset(key[2:] for key in UNTRACKED["f:metadata"])
MAX_UPDATE_ENTRIES = 10
ANCIENT = "ancient-changes"


@dataclass(frozen=True)
class Manager:
    """What tells entries apart. An applier is the same one whatever version it applies at."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return (self.name, self.operation, "" if self.operation == APPLY else self.api_version, self.subresource)


@dataclass(frozen=True)
class Entry:
    manager: Manager
    fields: FieldSet
    time: str = ""

    def body(self) -> Object:
        body: Object = {
            "manager": self.manager.name,
            "operation": self.manager.operation,
            "apiVersion": self.manager.api_version,
        }
        if self.time:
            body["time"] = self.time
        body |= {"fieldsType": "FieldsV1", "fieldsV1": self.fields}
        return body | ({"subresource": self.manager.subresource} if self.manager.subresource else {})

    @property
    def order(self) -> tuple[str, str, str, str, str]:
        return (
            self.manager.operation,
            self.time,
            self.manager.name,
            self.manager.api_version,
            self.manager.subresource,
        )


Entries = dict[tuple[str, str, str, str], Entry]


def decode(managed: Iterable[Object] | None) -> Entries:
    """Entries by identity. Raises BadRequest for what is not a list of managedFields entries."""
    found: Entries = {}
    for body in managed or ():
        entry = _entry(body)
        found[entry.manager.identity] = entry
    return found


def _entry(body: Object) -> Entry:
    operation = body.get("operation", "")
    if operation not in (APPLY, UPDATE):
        raise BadRequest(f"metadata.managedFields: Invalid value: invalid operation: {operation}")
    manager = Manager(body.get("manager", ""), operation, body.get("apiVersion", ""), body.get("subresource", ""))
    fields = body.get("fieldsV1")
    return Entry(manager, fields if isinstance(fields, dict) else {}, body.get("time") or "")


def encode(entries: Entries) -> list[Object]:
    return [entry.body() for entry in sorted(entries.values(), key=lambda entry: entry.order)]


def ignored(model: Model, subresource: str) -> FieldSet:
    """What the endpoint does not let a client set, so that nobody comes to own it there."""
    if subresource == "status":
        return {"f:spec": {}, "f:metadata": {}} if model.custom else {"f:spec": {}}
    return {"f:status": {}} if not subresource and model.has_status else {}


def strip(fields: FieldSet, also: FieldSet) -> FieldSet:
    """Without identity and system metadata, and without what the endpoint ignores."""
    for name in ("f:apiVersion", "f:kind", *also):
        if name in fields:
            fields = {key: child for key, child in fields.items() if key != "f:apiVersion" and key != "f:kind"}
            fields = recursive_difference(fields, also) if also else fields
            break
    metadata = fields.get("f:metadata")
    if metadata is None:
        return fields
    left = {key: child for key, child in metadata.items() if key[2:] not in UNTRACKED_METADATA and key != "."}
    others = {key: child for key, child in fields.items() if key != "f:metadata"}
    return {**others, "f:metadata": left} if left else others


def live_or_new(live: Object | None, new: Object, *, subresource: str) -> Entries:
    """The entries to start from: those the request sends (a client may drop them all with `[{}]`), else the live object's."""
    sent = new.get("metadata", {}).get("managedFields")
    old = live.get("metadata", {}).get("managedFields") if live else None
    if not subresource and sent:
        if sent == [{}]:
            return {}
        if sent is old or sent == old:
            return decode(old)
        try:
            return decode(sent)
        except BadRequest:
            return decode(old)
    return decode(old)


def track_update(
    model: Model, live: Object | None, new: Object, *, manager: str, now: str, subresource: str = ""
) -> None:
    """Set `new`'s managedFields for a create (live is None), an update or any patch but apply.

    Call it after defaults and before mutating admission: as in Kubernetes, nobody owns what admission adds. `now` is RFC 3339 to the second.
    """
    entries = live_or_new(live, new, subresource=subresource)
    before = live if live is not None else model.zero
    removed, modified, added = compare(model.shape, before, new)
    also = ignored(model, subresource)
    gone, taken = strip(removed, also), strip(union(modified, added), also)
    kept = release(entries, [gone, taken]) if gone or taken else entries
    me = Manager(manager, UPDATE, model.resource.api_version, subresource)
    if taken:
        previous = kept.get(me.identity)
        kept[me.identity] = Entry(me, union(previous.fields, taken) if previous else taken, now)
        kept = cap(kept)
    set_managed(new, kept)


def release(entries: Entries, sets: Iterable[FieldSet]) -> Entries:
    """The entries without these fields; an entry that owns nothing any more goes."""
    left: Entries = {}
    for identity, entry in entries.items():
        fields = entry.fields
        for each in sets:
            fields = difference(fields, each) if each else fields
        if fields:
            left[identity] = entry if fields is entry.fields else replace(entry, fields=fields)
    return left


def cap(entries: Entries) -> Entries:
    """At most ten Update entries: the oldest are merged into one per version, so that objects do not grow for ever."""
    if len(entries) <= MAX_UPDATE_ENTRIES:
        return entries
    updates = sorted(
        (entry for entry in entries.values() if entry.manager.operation == UPDATE), key=lambda entry: entry.order
    )
    excess = len(updates) - MAX_UPDATE_ENTRIES
    if excess <= 0:
        return entries
    left = dict(entries)
    for entry in updates[: excess + 1]:
        del left[entry.manager.identity]
        bucket = Manager(ANCIENT, UPDATE, entry.manager.api_version, entry.manager.subresource)
        present = left.get(bucket.identity)
        fields = union(present.fields, entry.fields) if present else entry.fields
        left[bucket.identity] = Entry(bucket, fields, max(entry.time, present.time if present else ""))
    return left


def set_managed(obj: Object, entries: Entries) -> None:
    metadata: dict[str, Any] = obj.setdefault("metadata", {})
    if entries:
        metadata["managedFields"] = encode(entries)
    else:
        metadata.pop("managedFields", None)


def after_apply(
    model: Model, live: Object | None, new: Object, *, manager: str, now: str, subresource: str = ""
) -> None:
    """Once an applied object was decoded and defaulted: an apply that came to nothing leaves managedFields, times included, as they were.

    What defaults and admission add after an apply is nobody's, as in Kubernetes, so nothing is taken here.
    """
    if live is not None and "managedFields" in live["metadata"] and same_but_for_times(live, new):
        new["metadata"]["managedFields"] = live["metadata"]["managedFields"]


def same_but_for_times(live: Object, new: Object) -> bool:
    """Whether a write changes nothing but the times in managedFields: then it is a no-op and the live object stays as it is."""
    if live.keys() != new.keys() or any(live[key] != new[key] for key in live if key != "metadata"):
        return False
    return _timeless(live["metadata"]) == _timeless(new["metadata"])


def _timeless(metadata: Object) -> Object:
    managed = metadata.get("managedFields")
    if not managed:
        return {key: value for key, value in metadata.items() if key != "managedFields"}
    return {
        **metadata,
        "managedFields": [{key: value for key, value in entry.items() if key != "time"} for entry in managed],
    }
