"""A local, always current copy of one kind: list, then watch, shared by every controller that needs the kind.

Guarantees:

- One watch per kind, however many controllers read it. A watch that ends is resumed from the last revision seen; `Expired` means list again,
  and what vanished in between is reported as deleted.
- *Read your writes.* A controller's own writes are put into the copy as soon as the API has answered (`observe`, `forget`), so the next
  reconcile sees them. This does what client-go's expectations do, without counters that can go stale: an answer older than what the watch has
  already delivered is ignored, and an object deleted by us stays deleted until its DELETED event has come.
- Objects are shared and read-only, and without managedFields: no controller reads them, an update leaves them as they are, and they take as much
  memory as the rest of many an object. An *outline* is less still: of kinds that are only counted and collected, nobody reads the content.

Revisions are compared as numbers, which Kubernetes allows since 1.35.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kubesim.client import Client
from kubesim.controllers.clock import Clock, sleep
from kubesim.errors import ApiError, Expired, NotFound
from kubesim.resources import Object

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Between attempts to list a kind that the API refuses or does not (yet) serve."""


class Key(NamedTuple):
    """What names an object within its kind; also what work queues hold."""

    namespace: str
    name: str


Handler = Callable[["Object | None", "Object | None"], None]
"""Called with (old, new): (None, new) for added, (old, None) for deleted. Must not block and must not change the objects."""


def lean(obj: Object) -> Object:
    """The object as controllers want it."""
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    return obj | {"metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def outline(obj: Object) -> Object:
    """What garbage collection and quotas look at."""
    kept = {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    return kept | {"metadata": {key: value for key, value in obj["metadata"].items() if key in _OUTLINE}}


_OUTLINE = frozenset(
    ("name", "namespace", "uid", "resourceVersion", "annotations", "ownerReferences", "finalizers", "deletionTimestamp")
)


def key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def revision_of(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


class Informer:
    """The copy of one kind. `run` feeds it; reads are synchronous and cost no API call."""

    def __init__(self, client: Client, resource: str, clock: Clock, *, keep: Callable[[Object], Object] = lean) -> None:
        self.resource = resource
        self.keep = keep
        self.synced = asyncio.Event()
        self._client = client
        self._clock = clock
        self._revision = 0
        self._objects: dict[Key, Object] = {}
        self._namespaces: dict[str, dict[Key, Object]] = {}
        self._owners: dict[str, dict[Key, Object]] = {}
        self._orphans: dict[str, dict[Key, Object]] = {}
        self._gone: set[str] = set()
        self._handlers: list[Handler] = []

    # reading

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get(Key(namespace, name))

    def items(self, namespace: str = "") -> list[Object]:
        """All objects, or those of one namespace."""
        return list((self._namespaces.get(namespace, {}) if namespace else self._objects).values())

    def owned(self, uid: str) -> list[Object]:
        """Objects with an owner reference (controller or not) to `uid`."""
        return list(self._owners.get(uid, {}).values())

    def controlled(self, uid: str) -> list[Object]:
        """Objects whose controller is `uid`."""
        return [obj for obj in self._owners.get(uid, {}).values() if controller_uid(obj) == uid]

    def orphans(self, namespace: str) -> list[Object]:
        """Objects of a namespace that no controller owns."""
        return list(self._orphans.get(namespace, {}).values())

    def __len__(self) -> int:
        return len(self._objects)

    # being told

    def on(self, handler: Handler) -> None:
        """Call `handler` for every change from now on, and at once for what is already here."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(None, obj)

    def observe(self, obj: Object) -> None:
        """Take in the API's answer to a write of ours, unless the watch is already past it."""
        if revision_of(obj) > self._revision:
            self._put(obj)

    def forget(self, uid: str, key: Key) -> None:
        """Take in that the API removed an object on our request; older events of it that are still on their way are ignored."""
        obj = self._objects.get(key)
        if obj is not None and obj["metadata"]["uid"] == uid:
            self._gone.add(uid)
            self._drop(key)

    # feeding

    async def run(self) -> None:
        """Keep the copy current, for ever."""
        while True:
            try:
                await self._relist()
                while True:
                    await self._follow()
            except Expired:
                continue
            except NotFound:
                self._replace([])
            except ApiError as error:
                log.warning("list and watch of %s: %s", self.resource, error.message)
            await sleep(self._clock, RETRY_SECONDS)

    async def _relist(self) -> None:
        found = await self._client.list(self.resource)
        self._revision = int(found.resource_version or 0)
        self._replace(found.items)

    def _replace(self, items: Iterable[Object]) -> None:
        present = {key_of(obj): obj for obj in items}
        for key in [key for key in self._objects if key not in present]:
            self._drop(key)
        self._gone.clear()
        for obj in present.values():
            self._put(obj)
        self.synced.set()

    async def _follow(self) -> None:
        async for event in self._client.watch(self.resource, resource_version=str(self._revision)):
            self._revision = max(self._revision, revision_of(event.object))
            if event.type == "DELETED":
                self._gone.discard(event.object["metadata"]["uid"])
                self._removed(event.object)
            elif event.type != "BOOKMARK":
                self._put(event.object)

    def _removed(self, obj: Object) -> None:
        key = key_of(obj)
        known = self._objects.get(key)
        if known is not None and known["metadata"]["uid"] == obj["metadata"]["uid"]:
            self._drop(key, last=obj)

    # the copy and its indexes

    def _put(self, obj: Object) -> None:
        key, uid = key_of(obj), obj["metadata"].get("uid", "")
        if uid in self._gone:
            return
        old = self._objects.get(key)
        if old is not None and old["metadata"].get("uid", "") != uid:
            self._drop(key)
            old = None
        if old is not None and revision_of(obj) <= revision_of(old):
            return
        self._unindex(key)
        obj = self.keep(obj)
        self._objects[key] = obj
        self._index(key, obj)
        self._tell(old, obj)

    def _drop(self, key: Key, *, last: Object | None = None) -> None:
        old = self._objects[key]
        self._unindex(key)
        del self._objects[key]
        self._tell(last or old, None)

    def _index(self, key: Key, obj: Object) -> None:
        self._namespaces.setdefault(key.namespace, {})[key] = obj
        for uid in owner_uids(obj):
            self._owners.setdefault(uid, {})[key] = obj
        if not controller_uid(obj):
            self._orphans.setdefault(key.namespace, {})[key] = obj

    def _unindex(self, key: Key) -> None:
        obj = self._objects.get(key)
        if obj is None:
            return
        _discard(self._namespaces, key.namespace, key)
        _discard(self._orphans, key.namespace, key)
        for uid in owner_uids(obj):
            _discard(self._owners, uid, key)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for handler in self._handlers:
            try:
                handler(old, new)
            except Exception:  # the outer layer: one controller's bug must not cut the others off from this kind
                log.exception("%s: a handler failed on %s", self.resource, key_of(new or old or {}))


def _discard(index: dict[str, dict[Key, Object]], name: str, key: Key) -> None:
    entries = index.get(name)
    if entries is not None:
        entries.pop(key, None)
        if not entries:
            del index[name]


def owner_uids(obj: Object) -> Iterator[str]:
    """The uid of every owner reference."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        yield reference["uid"]


def controller_uid(obj: Object) -> str:
    """The uid of the owner reference marked `controller`, or ""."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference["uid"])
    return ""
