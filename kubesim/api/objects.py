"""The verbs on objects, as every caller gets them: create, get, list, update, patch, delete, deletecollection.

A write goes: prepare (what the server owns) -> defaults -> mutating admission -> validation -> validating admission -> store. Only the
admission steps await; after the last of them nothing does until the store has written, so a check and the write it guards are one step.
An update or patch whose object changed meanwhile starts again from the newer one where the caller gave no resourceVersion, and is a
Conflict where it did.
"""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from kubesim.api import convert, strategy
from kubesim.api.request import Call
from kubesim.api.steps import Steps
from kubesim.errors import AlreadyExists, ApiError, BadRequest, Conflict, Invalid, MethodNotAllowed, NotFound, Cause
from kubesim.resources import Object, Registry, Resource
from kubesim.store import Exists, Record, Store

ATTEMPTS = 8
"""How often an update without a resourceVersion is tried again when others write the same object."""

Change = Callable[[Object], Awaitable[Object] | Object]


class Objects:
    """The one place that writes objects. `steps` holds admission and validation."""

    def __init__(self, store: Store, registry: Registry, steps: Steps, *, clock: Callable[[], datetime] | None = None) -> None:
        self.store, self.registry, self.steps = store, registry, steps
        self.clock = clock or (lambda: datetime.now(UTC))

    def now(self) -> str:
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

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
        resource = call.resource
        self._check_type(call, body)
        obj = self._new(call, body)
        return await self._create(call, resource, obj)

    async def _create(self, call: Call, resource: Resource, obj: Object) -> Object:
        self.steps.decode(call, obj)
        strategy.prepare_create(resource, obj)
        self.steps.default(resource, obj)
        obj = await self.steps.mutate(call, "CREATE", obj, None)
        self._name(obj)
        self.steps.default(resource, obj)
        self.steps.validate_create(resource, obj)
        obj = self.steps.track(call, obj, None, self.now())
        await self.steps.check(call, "CREATE", obj, None)
        self.steps.allocate(call, obj, None)
        if call.options.dry_run:
            if self.store.get(resource.storage, call.namespace, obj["metadata"]["name"]) is not None:
                raise already_exists(resource, obj["metadata"]["name"])
            return obj
        try:
            record = self.store.create(resource.storage, convert.to_storage(resource, obj))
        except Exists:
            raise already_exists(resource, obj["metadata"]["name"]) from None
        return convert.to_version(resource, record.object)

    def _check_type(self, call: Call, body: Object) -> None:
        """The body's kind and namespace must be what the URL says."""
        if not isinstance(body, dict):
            raise BadRequest(f"the object provided is unrecognized (must be of type {call.resource.kind}): couldn't get version/kind")
        strategy.check_type(call.resource, body)
        metadata = body.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise BadRequest(f"{call.resource.kind} in version \"{call.resource.version}\" cannot be handled as a {call.resource.kind}: metadata is not an object")
        namespace = metadata.get("namespace") or call.namespace
        if call.resource.namespaced and namespace != call.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")

    def _new(self, call: Call, body: Object) -> Object:
        """A copy of `body` with the metadata that only the server may set."""
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key not in strategy.SERVER_METADATA}
        if call.resource.namespaced:
            metadata["namespace"] = call.namespace
        else:
            metadata.pop("namespace", None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.now()}
        head = {"kind": call.resource.kind, "apiVersion": call.resource.api_version, "metadata": metadata}
        obj = head | {key: value for key, value in body.items() if key not in head}
        self._name(obj)
        return copy.deepcopy(obj)

    @staticmethod
    def _name(obj: Object) -> None:
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generate_name(str(metadata["generateName"]))

    # Changing

    async def update(self, call: Call, body: Object) -> Object:
        """PUT. Creates the object where its kind allows that; the body's resourceVersion, where given, guards it."""
        self._check_type(call, body)
        metadata = body.get("metadata") or {}
        if metadata.get("name", call.name) != call.name:
            raise BadRequest("the name of the object (%s) does not match the name on the URL (%s)" % (metadata.get("name"), call.name))
        if "name" not in metadata:
            body = body | {"metadata": {**metadata, "name": call.name}}
        exists = self.store.get(call.resource.storage, call.namespace, call.name)
        if exists is None:
            if metadata.get("resourceVersion") or call.info.subresource or not strategy.create_on_update(call.resource):
                raise not_found(call.resource, call.name)
            return await self.create(call, body)
        return await self.change(call, lambda _: copy.deepcopy(body), operation="Update")

    async def change(self, call: Call, make: Change, *, operation: str = "Update", tracked: bool = True) -> Object:
        """Replaces the object by what `make` makes of it (of a copy, in the caller's version), through the whole pipeline."""
        for attempt in range(ATTEMPTS):
            old = self.record(call.resource, call.namespace, call.name)
            before = convert.to_version(call.resource, old.object)
            made = make(copy.deepcopy(before))
            obj: Object = await made if isinstance(made, Awaitable) else made
            guard = (obj.get("metadata") or {}).get("resourceVersion") or ""
            self._guard(call, obj, before, guard)
            done = await self._replace(call, old, before, obj, operation)
            if done is not None:
                return done
            if guard and guard != before["metadata"]["resourceVersion"]:
                break
        raise conflict(call.resource, call.name)

    def _guard(self, call: Call, obj: Object, before: Object, guard: str) -> None:
        uid = (obj.get("metadata") or {}).get("uid")
        if uid and uid != before["metadata"]["uid"]:
            message = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['metadata']['uid']}"
            raise Conflict(f'Operation cannot be fulfilled on {call.resource.group_resource} "{call.name}": StorageError: invalid object, Code: 4, Key: {call.name}, ResourceVersion: 0, AdditionalErrorMsg: {message}', details=details(call.resource, call.name))
        if guard and guard != "0" and guard != before["metadata"]["resourceVersion"]:
            raise conflict(call.resource, call.name)

    async def _replace(self, call: Call, old: Record, before: Object, obj: Object, operation: str) -> Object | None:
        """None where somebody else has written the object since `old` was read."""
        resource = call.resource
        self.steps.decode(call, obj)
        obj = strategy.prepare_update(resource, obj, before, call.info.subresource)
        self.steps.default(resource, obj)
        obj = await self.steps.mutate(call, "UPDATE", obj, before)
        self.steps.default(resource, obj)
        strategy.generation(resource, obj, before)
        self.steps.validate_update(resource, obj, before, call.info.subresource)
        if operation != "Apply":
            obj = self.steps.track(call, obj, before, self.now())
        await self.steps.check(call, "UPDATE", obj, before)
        if self.store.get(resource.storage, old.namespace, old.name) is not old:
            return None
        self.steps.allocate(call, obj, before)
        if same(obj, before):
            return before
        if call.options.dry_run:
            return obj
        stored = convert.to_storage(resource, obj)
        if finished(obj):
            return convert.to_version(resource, self._remove_finished(resource, old, stored))
        return convert.to_version(resource, self.store.update(resource.storage, stored, old).object)

    def _remove_finished(self, resource: Resource, old: Record, obj: Object) -> Object:
        """The write that took the last finalizer: the object goes, and its last state is the answer, at its old version."""
        self.store.delete(resource.storage, old, obj)
        return obj

    # Deleting

    async def delete(self, call: Call) -> tuple[Object, bool]:
        """The object (as it is now, or as it last was) and whether it is gone."""
        for _ in range(ATTEMPTS):
            old = self.record(call.resource, call.namespace, call.name)
            before = convert.to_version(call.resource, old.object)
            self._preconditions(call, before)
            await self.steps.check(call, "DELETE", None, before)
            if self.store.get(call.resource.storage, old.namespace, old.name) is old:
                return self._delete(call, old, before)
        raise conflict(call.resource, call.name)

    def _preconditions(self, call: Call, obj: Object) -> None:
        wanted, metadata = call.options.preconditions, obj["metadata"]
        for key, words in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            value = wanted.get(key)
            if value is not None and value != metadata[key]:
                message = f"the {words} in the precondition ({value}) does not match the {words} in record ({metadata[key]}). The object might have been " + ("deleted and then recreated" if key == "uid" else "modified")
                raise Conflict(f'Operation cannot be fulfilled on {call.resource.kind} "{call.name}": {message}', details={"name": call.name, "kind": call.resource.kind})

    def _delete(self, call: Call, old: Record, before: Object) -> tuple[Object, bool]:
        obj = copy.deepcopy(old.object)
        gone = strategy.begin_delete(call.resource, obj, call.options, self.clock())
        if call.options.dry_run:
            return convert.to_version(call.resource, obj), gone
        if gone:
            self.store.delete(call.resource.storage, old)
            return before, True
        if same(obj, old.object):
            return before, False
        return convert.to_version(call.resource, self.store.update(call.resource.storage, obj, old).object), False


def same(obj: Object, before: Object) -> bool:
    """Whether a write would change nothing: managedFields' times aside, as in Kubernetes."""
    return strip(obj) == strip(before)


def strip(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    if "managedFields" in metadata:
        metadata["managedFields"] = [{key: value for key, value in entry.items() if key != "time"} for entry in metadata["managedFields"]]
    return obj | {"metadata": metadata}


def finished(obj: Object) -> bool:
    """Whether a write has just let go of a deleted object: nothing holds it any more."""
    metadata = obj["metadata"]
    held = metadata.get("finalizers") or (obj.get("spec") or {}).get("finalizers")
    return bool(metadata.get("deletionTimestamp")) and not held and not metadata.get("deletionGracePeriodSeconds")


def generate_name(prefix: str) -> str:
    """As names.SimpleNameGenerator: five characters that make no words."""
    return prefix[:58] + "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))


def details(resource: Resource, name: str) -> dict[str, Any]:
    found = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in found.items() if value}


def not_found(resource: Resource, name: str) -> ApiError:
    return NotFound(f'{resource.group_resource} "{name}" not found', details=details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    return AlreadyExists(f'{resource.group_resource} "{name}" already exists', details=details(resource, name))


def conflict(resource: Resource, name: str) -> ApiError:
    message = "the object has been modified; please apply your changes to the latest version and try again"
    return Conflict(f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {message}', details=details(resource, name))
