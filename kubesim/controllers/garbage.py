"""Garbage collection: objects whose owners are gone, and the three ways to delete an owner.

Every served kind is followed (custom ones as they come and go). Owners are looked up in those copies; what a copy does not have is asked of the
API before anything is deleted, since a reference may be newer than the copy.

- *Background*: the owner goes at once; each dependent whose owners are all gone goes after it.
- *Foreground*: the owner carries `foregroundDeletion` until the dependents with `blockOwnerDeletion` are gone.
- *Orphan*: the owner carries `orphan` until its dependents have lost their reference to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubesim.controllers.informer import Informer, Key, key_of, outline
from kubesim.controllers.kinds import CUSTOM_RESOURCES, EVENTS
from kubesim.controllers.meta import deleting, finalizers_of
from kubesim.controllers.runtime import Cluster, Controller, Propagation
from kubesim.errors import Invalid, NotFound
from kubesim.resources import Object, Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
IGNORED = {EVENTS, "events.k8s.io/v1/events", "metrics.k8s.io/v1beta1/pods", "metrics.k8s.io/v1beta1/nodes"}
SEPARATOR = "|"


class GarbageCollector(Controller):
    """Keys are (resource|namespace, name)."""

    name = "garbage-collector-controller"
    workers = 8

    def __init__(self, cluster: Cluster, *, discover: Callable[[], Sequence[Resource]]) -> None:
        super().__init__(cluster)
        self.discover = discover
        self._kinds: dict[str, Resource] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self.informer(CUSTOM_RESOURCES).on(lambda old, new: self.queue.add(Key("", "")))
        self._refresh()

    # the kinds

    def _refresh(self) -> None:
        """Follow every kind that is served now, each in one version."""
        served = followed(self.discover())
        for resource in served:
            self._by_kind[resource.api_version.rpartition("/")[0], resource.kind] = resource
            if resource.key not in self._kinds:
                self._kinds[resource.key] = resource
                informer = self.cluster.informer(resource.key, keep=outline)
                informer.on(lambda old, new, key=resource.key: self._changed(key, old, new))  # type: ignore[misc]
        for key in self._kinds.keys() - {resource.key for resource in served}:
            del self._kinds[key]
            self.cluster.drop(key)

    def _changed(self, resource: str, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._owner_gone(old or {})
            return
        references = new["metadata"].get("ownerReferences")
        if (old is None or old["metadata"].get("ownerReferences") != references) and references:
            self.queue.add(_work(resource, new))
        if deleting(new) and {FOREGROUND, ORPHAN} & set(finalizers_of(new)):
            self.queue.add(_work(resource, new))
        if deleting(new) and (old is None or not deleting(old)) and references:
            self._owners_of(new)

    def _owner_gone(self, old: Object) -> None:
        """Its dependents may be garbage now, and an owner that waits for it may go on."""
        for key, dependent in self._dependents(old["metadata"].get("uid", "")):
            self.queue.add(_work(key, dependent))
        self._owners_of(old)

    def _owners_of(self, obj: Object) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            found = self._lookup(reference, obj["metadata"].get("namespace", ""))
            if found is not None and deleting(found[1]):
                self.queue.add(_work(found[0], found[1]))

    def _informer(self, key: str) -> Informer:
        return self.cluster.informer(key, keep=outline)

    def _dependents(self, uid: str) -> list[tuple[str, Object]]:
        return [(key, obj) for key in self._kinds for obj in self._informer(key).owned(uid)]

    def _lookup(self, reference: Object, namespace: str) -> tuple[str, Object] | None:
        """The owner a reference names, in the copies."""
        resource = self._by_kind.get((reference["apiVersion"].rpartition("/")[0], reference["kind"]))
        if resource is None:
            return None
        found = self._informer(resource.key).get(namespace if resource.namespaced else "", reference["name"])
        return (resource.key, found) if found is not None and found["metadata"]["uid"] == reference["uid"] else None

    # one object

    async def reconcile(self, key: Key) -> float | None:
        if key == Key("", ""):
            self._refresh()
            return None
        resource, _, namespace = key.namespace.partition(SEPARATOR)
        obj = self._informer(resource).get(namespace, key.name) if resource in self._kinds else None
        if obj is None:
            return None
        if deleting(obj):
            await self._deleting(resource, obj)
        elif obj["metadata"].get("ownerReferences"):
            await self._attempt(resource, obj)
        return None

    async def _deleting(self, resource: str, obj: Object) -> None:
        """An owner that waits: for its dependents to be orphaned, or to be gone."""
        uid, held = obj["metadata"]["uid"], finalizers_of(obj)
        dependents = self._dependents(uid)
        if ORPHAN in held:
            for key, dependent in dependents:
                await self._disown(key, dependent, {uid})
            await self._unhold(resource, obj, ORPHAN)
        elif FOREGROUND in held:
            blocking = [
                (k, d)
                for k, d in dependents
                if any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in d["metadata"]["ownerReferences"])
            ]
            if not blocking:
                await self._unhold(resource, obj, FOREGROUND)
            for key, dependent in dependents:
                if not deleting(dependent):
                    self.queue.add(_work(key, dependent))

    async def _attempt(self, resource: str, obj: Object) -> None:
        """Delete a dependent none of whose owners is left; else drop the references to owners that are gone."""
        solid, dangling, waiting = await self._sort(obj)
        uids = {r["uid"] for r in [*dangling, *waiting]}
        if solid:
            if uids:
                await self._disown(resource, obj, uids)
        elif waiting and self._dependents(obj["metadata"]["uid"]):
            await self.cluster.delete(resource, obj, propagation="Foreground")
        else:
            await self.cluster.delete(resource, obj, propagation=_default(obj))

    async def _sort(self, obj: Object) -> tuple[list[Object], list[Object], list[Object]]:
        """Owner references by their owners: (there, gone, waiting for their dependents to go)."""
        solid, dangling, waiting = [], [], []
        for reference in obj["metadata"]["ownerReferences"]:
            owner = await self._owner(reference, obj["metadata"].get("namespace", ""))
            if owner is None:
                dangling.append(reference)
            elif deleting(owner) and FOREGROUND in finalizers_of(owner):
                waiting.append(reference)
            else:
                solid.append(reference)
        return solid, dangling, waiting

    async def _owner(self, reference: Object, namespace: str) -> Object | None:
        """The owner as it is; None where the API says that this incarnation is gone.

        An owner that cannot be looked up counts as there: one of an unknown kind, or a namespaced one of a cluster-scoped object.
        """
        found = self._lookup(reference, namespace)
        if found is not None:
            return found[1]
        resource = self._by_kind.get((reference["apiVersion"].rpartition("/")[0], reference["kind"]))
        if resource is None or (resource.namespaced and not namespace):
            return reference | {"metadata": {}}
        try:
            owner = await self.cluster.client.get(
                resource.key, reference["name"], namespace if resource.namespaced else ""
            )
        except NotFound:
            return None
        return owner if owner["metadata"]["uid"] == reference["uid"] else None

    async def _disown(self, resource: str, obj: Object, uids: set[str]) -> None:
        kept = [r for r in obj["metadata"].get("ownerReferences") or () if r["uid"] not in uids]
        change = {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": kept or None}}
        try:
            await self.cluster.patch(resource, obj, change)
        except (NotFound, Invalid):
            pass

    async def _unhold(self, resource: str, obj: Object, finalizer: str) -> None:
        kept = [f for f in finalizers_of(obj) if f != finalizer]
        change = {
            "metadata": {
                "uid": obj["metadata"]["uid"],
                "resourceVersion": obj["metadata"]["resourceVersion"],
                "finalizers": kept or None,
            }
        }
        try:
            await self.cluster.patch(resource, obj, change)
        except NotFound:
            pass


def followed(resources: Sequence[Resource]) -> list[Resource]:
    """Kinds that can be listed, watched and deleted, each in the version listed first."""
    seen: set[tuple[str, str]] = set()
    found = []
    for resource in resources:
        name = (resource.group, resource.plural)
        if {"list", "watch", "delete"} <= set(resource.verbs) and name not in seen and resource.key not in IGNORED:
            seen.add(name)
            found.append(resource)
    return found


def _default(obj: Object) -> Propagation:
    """How a dependent is deleted: as its own finalizers ask, else in the background."""
    held = finalizers_of(obj)
    return "Orphan" if ORPHAN in held else "Foreground" if FOREGROUND in held else "Background"


def _work(resource: str, obj: Object) -> Key:
    key = key_of(obj)
    return Key(f"{resource}{SEPARATOR}{key.namespace}", key.name)
