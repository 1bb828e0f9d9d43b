"""ResourceQuota status: what is used, by the same arithmetic that admission refuses with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubesim.admission import quota as arithmetic
from kubesim.controllers.informer import Key, key_of, outline
from kubesim.controllers.kinds import PODS, QUOTAS
from kubesim.controllers.meta import is_finished
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object, Resource


class Quotas(Controller):
    name = "resourcequota-controller"

    def __init__(self, cluster: Cluster, *, discover: Callable[[], Sequence[Resource]]) -> None:
        super().__init__(cluster)
        self.discover = discover
        self.quotas = self.on(QUOTAS)
        self._followed: dict[str, str] = {}

    def _follow(self, kind: str) -> str | None:
        """The key of the kind a quota counts, followed from now on; None where nothing of that name is served."""
        if kind not in self._followed:
            found = next((r.key for r in self.discover() if r.group_resource == kind and r.namespaced), None)
            if found is None:
                return None
            self._followed[kind] = found
            self.cluster.informer(found, keep=outline).on(lambda old, new: self._changed(found, old, new))
        return self._followed[kind]

    def _changed(self, resource: str, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        if old is not None and new is not None and not _matters(resource, old, new):
            return
        for quota in self.quotas.items(obj["metadata"]["namespace"]):
            self.queue.add(key_of(quota))

    async def reconcile(self, key: Key) -> None:
        quota = self.quotas.get(*key)
        if quota is None:
            return
        objects = {}
        for kind in arithmetic.kinds(quota):
            resource = self._follow(kind)
            if resource is not None:
                informer = self.cluster.informer(resource, keep=outline)
                await informer.synced.wait()
                objects[kind] = informer.items(key.namespace)
        hard = quota["spec"].get("hard") or {}
        used = arithmetic.used(quota, objects)
        if hard or quota.get("status"):
            await self.cluster.update_status(QUOTAS, quota, {"hard": hard, "used": used})


def _matters(resource: str, old: Object, new: Object) -> bool:
    """Whether a change can change what the object uses."""
    if resource == PODS and is_finished(old) != is_finished(new):
        return True
    return bool(old.get("spec") != new.get("spec"))
