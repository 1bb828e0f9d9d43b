"""Namespaces that are deleted: everything in them goes first, pods before the rest, then the `kubernetes` finalizer.

What is left and why is in the namespace's conditions, in Kubernetes's words. The walk asks the API, not a copy: a namespace must not go while
something unseen is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from kubesim.controllers.clock import stamp
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import NAMESPACES, PODS
from kubesim.controllers.meta import deleting, finalizers_of, set_condition
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.errors import ApiError, Conflict, MethodNotAllowed, NotFound
from kubesim.resources import Object, Resource

FINALIZER = "kubernetes"
PERIOD = 0.2
LONGEST_PERIOD = 5.0


class Namespaces(Controller):
    name = "namespace-controller"
    workers = 8

    def __init__(self, cluster: Cluster, *, discover: Callable[[], Sequence[Resource]]) -> None:
        super().__init__(cluster)
        self.discover = discover
        self.namespaces = self.on(NAMESPACES)
        self.cluster.informer(PODS).on(self._pod_changed)
        self._rounds: Counter[str] = Counter()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """The last pod's end lets the rest go at once."""
        if old is not None and new is None:
            namespace = self.namespaces.get("", old["metadata"]["namespace"])
            if namespace is not None and deleting(namespace):
                self.queue.add(Key("", old["metadata"]["namespace"]))

    async def reconcile(self, key: Key) -> float | None:
        namespace = self.namespaces.get(*key)
        if namespace is None or not deleting(namespace) or FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            self._rounds.pop(key.name, None)
            return None
        remaining, refused = await self._empty(key.name)
        await self._write_conditions(key, remaining, refused)
        if not remaining and not refused:
            await self._finalize(key)
            return None
        self._rounds[key.name] += 1
        return min(PERIOD * 1.5 ** min(self._rounds[key.name], 20), LONGEST_PERIOD)

    async def _empty(self, name: str) -> tuple[dict[str, list[Object]], list[str]]:
        """Delete what is in the namespace: (objects still there by kind, refusals). Other kinds wait until the pods are gone."""
        refused: list[str] = []
        pods = await self._delete_all(PODS, name, refused)
        if pods:
            return {"pods.": pods}, refused
        remaining: dict[str, list[Object]] = {}
        for resource in storage_kinds(self.discover()):
            left = await self._delete_all(resource.key, name, refused)
            if left:
                remaining[f"{resource.plural}.{resource.group}"] = left
        return remaining, refused

    async def _delete_all(self, resource: str, namespace: str, refused: list[str]) -> list[Object]:
        """Delete every object of one kind; what is still there afterwards."""
        try:
            found = await self.cluster.client.list(resource, namespace)
            for obj in found.items:
                if not deleting(obj):
                    await self.cluster.delete(resource, obj, propagation="Background")
            return list((await self.cluster.client.list(resource, namespace)).items) if found.items else []
        except (NotFound, MethodNotAllowed):
            return []
        except ApiError as error:
            refused.append(error.message)
            return []

    async def _write_conditions(self, key: Key, remaining: dict[str, list[Object]], refused: list[str]) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None:
            return
        status = namespace.get("status") or {}
        conditions = status.get("conditions") or []
        for new in conditions_of(remaining, refused, stamp(self.clock.now())):
            conditions = set_condition(conditions, new)
        if remaining or refused or status.get("conditions"):
            await self.cluster.update_status(NAMESPACES, namespace, status | {"conditions": conditions})

    async def _finalize(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None:
            return
        kept = [f for f in namespace["spec"].get("finalizers") or () if f != FINALIZER]
        body = namespace | {"spec": namespace["spec"] | {"finalizers": kept}}
        try:
            await self.cluster.update(NAMESPACES, body, subresource="finalize")
        except Conflict:
            self.queue.add(key)
        except NotFound:
            pass
        self._rounds.pop(key.name, None)


def storage_kinds(resources: Sequence[Resource]) -> list[Resource]:
    """Namespaced kinds with objects of their own, each once however many versions are served."""
    seen: set[tuple[str, str]] = set()
    found = []
    for resource in resources:
        name = (resource.group, resource.plural)
        if (
            resource.namespaced
            and {"list", "delete"} <= set(resource.verbs)
            and name not in seen
            and name != ("events.k8s.io", "events")
        ):
            seen.add(name)
            found.append(resource)
    return found


def conditions_of(remaining: dict[str, list[Object]], refused: Sequence[str], now: str) -> list[Object]:
    """The five conditions of a terminating namespace."""
    held = Counter(f for objects in remaining.values() for obj in objects for f in finalizers_of(obj))
    content = ", ".join(f"{kind} has {len(objects)} resource instances" for kind, objects in sorted(remaining.items()))
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(held.items()))
    rows = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "True",
            "ContentDeletionFailed",
            "Failed to delete all resource types, " + ", ".join(refused),
        )
        if refused
        else (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {content}")
        if remaining
        else ("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"),
        (
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {finalizers}",
        )
        if held
        else (
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]
    names = ("type", "status", "reason", "message")
    return [dict(zip(names, row, strict=True)) | {"lastTransitionTime": now} for row in rows]
