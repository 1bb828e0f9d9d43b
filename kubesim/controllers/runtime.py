"""What every controller stands on: a view of the cluster whose reads cost nothing, and a loop that reconciles keys.

A controller names the kinds it reacts to and reconciles one key at a time. A reconcile compares what is with what should be, from the informers'
copies, and calls the API only where they differ; it may return a number of seconds after which it wants the key again. Conflicts and refusals
put the key back with a growing delay; a bug in one reconcile is logged and retried like a refusal, it never ends the process.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

from kubesim.client import Client, PatchKind
from kubesim.controllers.clock import Clock
from kubesim.controllers.informer import Informer, Key, key_of, lean
from kubesim.controllers.kinds import type_of
from kubesim.controllers.queue import Queue
from kubesim.controllers.recorder import Events, Recorder, Source
from kubesim.errors import ApiError, Conflict, Forbidden, NotFound
from kubesim.resources import Object

log = logging.getLogger(__name__)

Propagation = Literal["", "Orphan", "Background", "Foreground"]
Keep = Callable[[Object], Object]


class Cluster:
    """One API user's view: shared informers, and writes that the informers see at once. Nothing is copied; build new objects to write."""

    def __init__(self, client: Client, clock: Clock, *, host: str = "") -> None:
        self.client = client
        self.clock = clock
        self.host = host
        self.events = Events(client, clock)
        self._informers: dict[str, Informer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def informer(self, resource: str, *, keep: Keep = lean) -> Informer:
        """The informer of a kind, started if the cluster runs. Everyone gets the same one, so who wants whole objects asks first."""
        found = self._informers.get(resource)
        if found is None:
            found = self._informers[resource] = Informer(self.client, resource, self.clock, keep=keep)
            self._start(resource)
        elif keep is lean and found.keep is not lean:
            raise LookupError(
                f"{resource} is followed in outline: ask for whole objects before the garbage collector starts"
            )
        return found

    def drop(self, resource: str) -> None:
        """Stop following a kind that is no longer served."""
        self._informers.pop(resource, None)
        task = self._tasks.pop(resource, None)
        if task is not None:
            task.cancel()

    def recorder(self, component: str, *, modern: bool = False) -> Recorder:
        return Recorder(self.events, Source(component, self.host if modern else "", modern))

    def on_behalf(self, client: Client) -> Cluster:
        """The same view with the same informers and events, but other writes are `client`'s."""
        other = copy.copy(self)
        other.client = client
        other.informer = self.informer  # type: ignore[method-assign]
        return other

    async def run(self) -> None:
        """Feed the informers and write events, for ever."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for resource in self._informers:
                    self._start(resource)
                await self.events.run()
            finally:
                self._group = None

    def _start(self, resource: str) -> None:
        if self._group is not None:
            self._tasks[resource] = self._group.create_task(self._informers[resource].run(), name=f"watch {resource}")

    # writing

    async def create(self, resource: str, body: Object, namespace: str = "") -> Object:
        created = await self.client.create(resource, type_of(resource) | body, namespace)
        return self._seen(resource, created)

    async def update(self, resource: str, body: Object, *, subresource: str = "") -> Object:
        return self._seen(
            resource, await self.client.update(resource, type_of(resource) | body, subresource=subresource)
        )

    async def update_status(self, resource: str, obj: Object, status: Object) -> Object:
        """Write `status` if it differs from the object's."""
        if (obj.get("status") or {}) == status:
            return obj
        return await self.update(resource, obj | {"status": status}, subresource="status")

    async def patch(
        self, resource: str, obj: Object, patch: object, *, kind: PatchKind = "merge", subresource: str = ""
    ) -> Object:
        key = key_of(obj)
        patched = await self.client.patch(resource, key.name, patch, key.namespace, kind=kind, subresource=subresource)
        return self._seen(resource, patched)

    async def delete(
        self, resource: str, obj: Object, *, propagation: Propagation = "", grace_seconds: int | None = None
    ) -> bool:
        """Delete exactly this object (by uid). False where it, or that incarnation of it, is already gone."""
        key, uid = key_of(obj), obj["metadata"]["uid"]
        try:
            answer = await self.client.delete(
                resource, key.name, key.namespace, propagation=propagation, uid=uid, grace_seconds=grace_seconds
            )
        except NotFound:
            return False
        except Conflict:
            if await self._is_there(resource, obj):
                raise
            return False
        left = answer.get("metadata") or {}
        # A Namespace keeps its finalizers in its spec.
        held = (
            left.get("finalizers")
            or left.get("deletionGracePeriodSeconds")
            or (answer.get("spec") or {}).get("finalizers")
        )
        if left.get("uid") == uid and left.get("deletionTimestamp") and held:
            self._seen(resource, answer)
        elif resource in self._informers:
            self._informers[resource].forget(uid, key)
        return True

    async def _is_there(self, resource: str, obj: Object) -> bool:
        key = key_of(obj)
        try:
            found = await self.client.get(resource, key.name, key.namespace)
        except NotFound:
            return False
        return bool(found["metadata"]["uid"] == obj["metadata"]["uid"])

    def _seen(self, resource: str, obj: Object) -> Object:
        informer = self._informers.get(resource)
        if informer is not None and "uid" in obj.get("metadata", {}):
            informer.observe(obj)
        return obj


class Controller:
    """A loop over keys. Subclasses set `name`, register in `__init__` and write `reconcile`."""

    name: ClassVar[str]
    workers: ClassVar[int] = 4

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.clock = cluster.clock
        self.queue: Queue[Key] = Queue(cluster.clock)
        self.recorder = cluster.recorder(self.name)
        self._needs: list[Informer] = []

    async def reconcile(self, key: Key) -> float | None:
        """Bring one key closer to what it should be; seconds after which to look again, or None."""
        raise NotImplementedError

    def informer(self, resource: str, *, keep: Keep = lean) -> Informer:
        """An informer that must be complete before this controller starts."""
        informer = self.cluster.informer(resource, keep=keep)
        self._needs.append(informer)
        return informer

    def on(
        self, resource: str, keys: Callable[[Object], Iterable[Key]] | None = None, *, keep: Keep = lean
    ) -> Informer:
        """Work on `keys(object)` (its own key by default) whenever an object of `resource` changes, before and after the change."""
        informer = self.informer(resource, keep=keep)

        def handler(old: Object | None, new: Object | None) -> None:
            for obj in (old, new):
                if obj is not None:
                    for key in keys(obj) if keys else (key_of(obj),):
                        self.queue.add(key)

        informer.on(handler)
        return informer

    async def read(self, resource: str, key: Key) -> Object | None:
        """The object as the API has it now, for kinds that are followed in outline; None where it is gone."""
        try:
            return await self.cluster.client.get(resource, key.name, key.namespace)
        except NotFound:
            return None

    async def run(self) -> None:
        """Reconcile, for ever."""
        for informer in self._needs:
            await informer.synced.wait()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work(), name=self.name)
        finally:
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                again = await self.reconcile(key)
            except ApiError as error:
                self._failed(key, error)
            except Exception:  # the outer layer: one key's bug must not stop the others
                log.exception("%s: %s", self.name, "/".join(key))
                self.queue.retry(key)
            else:
                self.queue.forget(key)
                if again is not None:
                    self.queue.add_after(key, again)
            finally:
                self.queue.done(key)
            await asyncio.sleep(0)  # in-process calls need not yield; others must get their turn

    def _failed(self, key: Key, error: ApiError) -> None:
        if not is_terminating(error):
            log.log(
                logging.DEBUG if isinstance(error, Conflict) else logging.INFO,
                "%s: %s: %s",
                self.name,
                "/".join(key),
                error.message,
            )
            self.queue.retry(key)


def is_terminating(error: ApiError) -> bool:
    """Whether the API refused because the namespace is going away: nothing to report and nothing to retry."""
    causes = error.details.get("causes") or ()
    return isinstance(error, Forbidden) and any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
