"""The verbs on objects, as every caller gets them: create, get, update, change (patches, views), delete.

A write passes the steps of `kubesim.api.steps`. Only admission awaits; after the last of it nothing does until the store has written, so a
check and the write it guards are one step. Where somebody else has written the object meanwhile, the write begins again from the newer one;
it is a Conflict where the caller named a resourceVersion that is no longer the object's.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kubesim.api import convert, strategy
from kubesim.api.request import Call, Options
from kubesim.api.steps import Steps
from kubesim.errors import AlreadyExists, ApiError, BadRequest, Conflict, InternalError, NotFound
from kubesim.resources import Object, Resource, clone
from kubesim.store import Exists, Record, Store

ATTEMPTS = 8
"""How often an update without a resourceVersion is tried again when others write the same object."""

Change = Callable[[Object], "Awaitable[Object] | Object"]
Written = Callable[[Object, bool], None]


class Objects:
    """The one place that writes objects. `written` are told of each write of their kind: (object, whether it is gone)."""

    def __init__(
        self, store: Store, steps: Steps, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.store, self.steps, self.clock = store, steps, clock
        self.written: dict[str, Written] = {}
        self._moment: tuple[datetime | None, str] = None, ""

    def now(self) -> str:
        """The time as it is written; formatted once a second."""
        moment = self.clock().replace(microsecond=0)
        if moment != self._moment[0]:
            self._moment = moment, strategy.stamp(moment)
        return self._moment[1]

    # Reading

    def record(self, resource: Resource, namespace: str, name: str) -> Record:
        found = self.store.get(resource.storage, namespace if resource.namespaced else "", name)
        if found is None:
            raise not_found(resource, name)
        return found

    def get(self, call: Call) -> Object:
        return convert.to_version(call.resource, self.record(call.resource, call.namespace, call.name).object)

    # Creating

    async def create(self, call: Call, body: Object) -> Object:
        strategy.check_body(call.resource, body, call.namespace)
        obj = self.steps.decode(call, body)
        obj = self._identified(call, obj)
        self.steps.default(call.resource, obj)
        self.steps.track(call, obj, None, self.now())
        return await self._create(call, obj)

    async def create_applied(self, call: Call, applied: Object) -> Object:
        """Server-side apply of a name that is not there."""
        now = self.now()
        obj = self.steps.decode(call, self.steps.applied(call, None, applied, now))
        owned = obj["metadata"].get("managedFields")
        obj = self._identified(call, obj)
        obj["metadata"]["managedFields"] = owned
        self.steps.default(call.resource, obj)
        self.steps.after_apply(call, None, obj, now)
        return await self._create(call, obj)

    async def _create(self, call: Call, obj: Object) -> Object:
        resource = call.resource
        request = self.steps.request(call, "CREATE", obj, None)
        obj = await self.steps.mutate(request)
        strategy.prepare_create(resource, obj)
        self.steps.validate_create(resource, obj)
        await self.steps.ask(request)
        self._check_free(resource, obj)
        self.steps.settle(request)
        if call.options.dry_run:
            return obj
        try:
            record = self.store.create(resource.storage, convert.to_storage(resource, obj))
        except Exists:
            raise already_exists(resource, obj["metadata"]["name"]) from None
        self._tell(resource, record.object, gone=False)
        return convert.to_version(resource, record.object)

    def _check_free(self, resource: Resource, obj: Object) -> None:
        metadata = obj["metadata"]
        if self.store.get(resource.storage, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise already_exists(resource, metadata["name"])

    def _identified(self, call: Call, obj: Object) -> Object:
        """With the metadata that only the server sets."""
        metadata = {key: value for key, value in obj["metadata"].items() if key not in strategy.SERVER_METADATA}
        metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generate_name(str(metadata["generateName"]))
        head = {key: metadata.pop(key) for key in ("name", "generateName") if key in metadata}
        if call.resource.namespaced:
            head["namespace"] = call.namespace
        head |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.now()}
        first = {"kind": call.resource.kind, "apiVersion": call.resource.api_version, "metadata": head | metadata}
        return first | {key: value for key, value in obj.items() if key not in first}

    # Changing

    async def update(self, call: Call, body: Object) -> Object:
        """PUT. Creates the object where its kind allows that; the body's resourceVersion, where given, guards it."""
        strategy.check_body(call.resource, body, call.namespace)
        metadata = body.get("metadata") or {}
        if metadata.get("name", call.name) != call.name:
            raise BadRequest(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
            )
        body = body | {"metadata": metadata | {"name": call.name}}
        if self.store.get(call.resource.storage, call.namespace, call.name) is None:
            if call.info.subresource or not strategy.create_on_update(call.resource):
                raise not_found(call.resource, call.name)
            return await self.create(replace(call, info=replace(call.info, verb="create", name="")), body)
        return await self.change(call, lambda _: clone(body))

    async def change(self, call: Call, make: Change, *, applied: bool = False) -> Object:
        """Replaces the object by what `make` makes of a copy of it, in the caller's version. `applied`: managedFields are made already."""
        for _ in range(ATTEMPTS):
            old = self.record(call.resource, call.namespace, call.name)
            before = convert.to_version(call.resource, old.object)
            made = make(clone(before))
            obj: Object = await made if isinstance(made, Awaitable) else made
            self._guard(call, obj, before)
            done = await self._replace(call, old, before, obj, applied=applied)
            if done is not None:
                return done
        raise conflict(call.resource, call.name)

    def _guard(self, call: Call, obj: Object, before: Object) -> None:
        metadata, held = obj.get("metadata") or {}, before["metadata"]
        if metadata.get("uid") and metadata["uid"] != held["uid"]:
            message = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {held['uid']}"
            raise conflict(call.resource, call.name, message)
        version = metadata.get("resourceVersion") or "0"
        if version == "0" and not strategy.unconditional_update(call.resource):
            raise strategy.version_required(call.resource, call.name)
        if version not in ("0", held["resourceVersion"]):
            raise conflict(call.resource, call.name)

    async def _replace(self, call: Call, old: Record, before: Object, obj: Object, *, applied: bool) -> Object | None:
        """None where somebody else has written the object since `old` was read."""
        resource, subresource, now = call.resource, call.info.subresource, self.now()
        obj = self.steps.decode(call, obj)
        obj = strategy.prepare_update(resource, obj, before, subresource)
        self.steps.default(resource, obj)
        if applied:
            self.steps.after_apply(call, before, obj, now)
        else:
            self.steps.track(call, obj, before, now)
        request = self.steps.request(call, "UPDATE", obj, before)
        obj = await self.steps.mutate(request)
        strategy.complete_update(resource, obj, before)
        self.steps.validate_update(resource, obj, before, subresource)
        await self.steps.ask(request)
        if self.store.get(resource.storage, old.namespace, old.name) is not old:
            return None
        self.steps.settle(request)
        return self._write(call, old, before, obj)

    def _write(self, call: Call, old: Record, before: Object, obj: Object) -> Object:
        resource = call.resource
        if finished(resource, obj):
            if not call.options.dry_run:
                self.store.delete(resource.storage, old, convert.to_storage(resource, clone(obj)))
                self._tell(resource, obj, gone=True)
            return obj
        if same(obj, before):
            return before
        if call.options.dry_run:
            return obj
        record = self.store.update(resource.storage, convert.to_storage(resource, obj), old)
        self._tell(resource, record.object, gone=False)
        return convert.to_version(resource, record.object)

    # Deleting

    async def delete(self, call: Call) -> tuple[Object, bool]:
        """The object (as it is now, or as it last was) and whether it is gone."""
        for _ in range(ATTEMPTS):
            old = self.record(call.resource, call.namespace, call.name)
            before = convert.to_version(call.resource, old.object)
            self._preconditions(call, before)
            request = self.steps.request(call, "DELETE", None, before)
            await self.steps.chain.mutate(request, self.steps.reader)
            await self.steps.ask(request)
            if self.store.get(call.resource.storage, old.namespace, old.name) is old:
                self.steps.settle(request)
                return self._delete(call, old, before)
        raise conflict(call.resource, call.name)

    def _preconditions(self, call: Call, obj: Object) -> None:
        for key, words, why in (
            ("uid", "UID", "deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", "modified"),
        ):
            wanted, have = call.options.preconditions.get(key), obj["metadata"][key]
            if wanted is not None and wanted != have:
                message = f"the {words} in the precondition ({wanted}) does not match the {words} in record ({have}). "
                message += f"The object might have been {why}"
                kind = call.resource.kind
                raise Conflict(
                    f'Operation cannot be fulfilled on {kind} "{call.name}": {message}',
                    details={"name": call.name, "kind": kind},
                )

    def _delete(self, call: Call, old: Record, before: Object) -> tuple[Object, bool]:
        resource, obj = call.resource, clone(old.object)
        gone = strategy.begin_delete(resource, obj, call.options, self.clock())
        if call.options.dry_run:
            return convert.to_version(resource, obj), gone
        if gone:
            self.store.delete(resource.storage, old)
            self._tell(resource, before, gone=True)
            return (obj if resource.key == "v1/pods" else before), True
        if same(obj, old.object):
            return before, False
        record = self.store.update(resource.storage, obj, old)
        self._tell(resource, record.object, gone=False)
        return convert.to_version(resource, record.object), False

    def _tell(self, resource: Resource, obj: Object, *, gone: bool) -> None:
        told = self.written.get(resource.storage)
        if told is not None:
            told(obj, gone)


def same(obj: Object, before: Object) -> bool:
    """Whether a write would change nothing. Order of keys and the times in managedFields aside, as in Kubernetes."""
    if obj["metadata"].get("managedFields") != before["metadata"].get("managedFields"):
        return _plain(obj) == _plain(before)
    return {**obj, "metadata": _unversioned(obj["metadata"])} == {
        **before,
        "metadata": _unversioned(before["metadata"]),
    }


def _unversioned(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "resourceVersion"}


def _plain(obj: Object) -> Object:
    metadata = _unversioned(obj["metadata"])
    entries = metadata.get("managedFields") or ()
    metadata["managedFields"] = [{key: value for key, value in entry.items() if key != "time"} for entry in entries]
    return {**obj, "metadata": metadata}


def finished(resource: Resource, obj: Object) -> bool:
    """Whether a write has just let go of a deleted object: nothing holds it any more."""
    metadata = obj["metadata"]
    if (
        not metadata.get("deletionTimestamp")
        or metadata.get("finalizers")
        or metadata.get("deletionGracePeriodSeconds")
    ):
        return False
    return resource.key != "v1/namespaces" or not (obj.get("spec") or {}).get("finalizers")


def generate_name(prefix: str) -> str:
    """As names.SimpleNameGenerator: five characters that make no words."""
    return prefix[:58] + "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))


def with_delete_options(options: Options, body: Object) -> Options:
    """The query's options and those of a DeleteOptions body."""
    orphan = "Orphan" if body.get("orphanDependents") else ""
    grace = body.get("gracePeriodSeconds")
    return replace(
        options,
        dry_run=options.dry_run or "All" in (body.get("dryRun") or ()),
        propagation=body.get("propagationPolicy") or options.propagation or orphan,
        grace_seconds=options.grace_seconds if grace is None else grace,
        preconditions=body.get("preconditions") or {},
    )


def details(resource: Resource, name: str) -> dict[str, Any]:
    found = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in found.items() if value}


def not_found(resource: Resource, name: str) -> ApiError:
    return NotFound(f'{resource.group_resource} "{name}" not found', details=details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    return AlreadyExists(f'{resource.group_resource} "{name}" already exists', details=details(resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> ApiError:
    return Conflict(
        f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}', details=details(resource, name)
    )


def internal(message: str) -> ApiError:
    return InternalError(f"Internal error occurred: {message}")
