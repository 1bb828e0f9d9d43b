"""What admission, authorization and authentication see of the store: `kubesim.auth.reader.Reader`."""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.api import convert
from kubesim.resources import Object, Registry
from kubesim.store import Store


class StoreReader:
    """Readings by `Resource.key`; an unknown kind (a CRD that is gone) is empty."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store, self._registry = store, registry

    def get(self, key: str, namespace: str, name: str) -> Object | None:
        resource = self._registry.find(key)
        if resource is None:
            return None
        record = self._store.get(resource.storage, namespace if resource.namespaced else "", name)
        return None if record is None else convert.to_version(resource, record.object)

    def list(self, key: str, namespace: str = "") -> Sequence[Object]:
        resource = self._registry.find(key)
        if resource is None:
            return ()
        return [convert.to_version(resource, record.object) for record in self._store.list(resource.storage, namespace)]

    def changed(self, key: str) -> int:
        resource = self._registry.find(key)
        return 0 if resource is None else self._store.changed(resource.storage)
