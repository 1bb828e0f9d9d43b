"""What authorization and admission may see of the store, and a cache that follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from kubesim.resources import Object

T = TypeVar("T")


class Reader(Protocol):
    """Synchronous readings of the store. Objects are shared: never change one."""

    def get(self, key: str, namespace: str, name: str) -> Object | None: ...

    def list(self, key: str, namespace: str = "") -> Sequence[Object]:
        """All objects of a kind, or those of one namespace."""
        ...

    def changed(self, key: str) -> int:
        """The revision of the last change of that kind."""
        ...


class Derived(Generic[T]):
    """A value computed from whole kinds, computed again only after one of them has changed."""

    def __init__(self, keys: Sequence[str], compute: Callable[[Reader], T]) -> None:
        self._keys = tuple(keys)
        self._compute = compute
        self._seen: tuple[int, ...] | None = None
        self._value: T | None = None

    def of(self, reader: Reader) -> T:
        seen = tuple(map(reader.changed, self._keys))
        if seen != self._seen or self._value is None:
            self._value, self._seen = self._compute(reader), seen
        return self._value


def by_namespace(items: Sequence[Object]) -> dict[str, list[Object]]:
    """Objects by namespace, each list in the order of names, as the API lists them."""
    spaces: dict[str, list[Object]] = {}
    for item in sorted(items, key=lambda item: str(item["metadata"]["name"])):
        spaces.setdefault(item["metadata"].get("namespace", ""), []).append(item)
    return spaces
