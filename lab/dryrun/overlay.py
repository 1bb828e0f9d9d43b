"""What a dry run has written to the cluster, over what is there: later reads see it, as they would."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.kube import Object


@dataclass(frozen=True)
class Place:
    """What a path of the API means. `name` is empty for a collection, `namespace` for cluster-scoped kinds and for all namespaces."""

    group_version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @classmethod
    def read(cls, path: str) -> Place | None:
        """None where the path is none of an object or a collection (/version, discovery)."""
        root, *parts = path.strip("/").split("/")
        depth = {"api": 1, "apis": 2}.get(root, 0)
        if not depth or len(parts) <= depth:
            return None
        group_version, rest, namespace = "/".join(parts[:depth]), parts[depth:], ""
        if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("finalize", "status")):
            namespace, rest = rest[1], rest[2:]
        plural, name, *beyond = [*rest, ""]
        return cls(group_version, plural, namespace, name, "/".join(filter(None, beyond)))

    def named(self, name: str) -> Place:
        return Place(self.group_version, self.plural, self.namespace, name)


class Overlay:
    """Objects by their place; None for one that was deleted. One for all identities of a dry run."""

    def __init__(self) -> None:
        self._objects: dict[Place, Object | None] = {}

    def knows(self, place: Place) -> bool:
        return place in self._objects

    def get(self, place: Place) -> Object | None:
        return copy.deepcopy(self._objects[place])

    def put(self, place: Place, item: Object | None) -> None:
        self._objects[place] = copy.deepcopy(item)

    def over(self, place: Place, items: list[Object], labels: Mapping[str, str]) -> list[Object]:
        """A collection as it would be: `items`, less what was deleted, with what was written."""
        mine = {at: item for at, item in self._objects.items() if _is_in(at, place)}
        hidden = {(at.namespace, at.name) for at in mine}
        kept = [item for item in items if _identity(item) not in hidden]
        return kept + [copy.deepcopy(item) for item in mine.values() if item is not None and _matches(item, labels)]

    def definitions(self) -> Iterator[Object]:
        for at, item in self._objects.items():
            if at.plural == "customresourcedefinitions" and item is not None:
                yield item


def _is_in(at: Place, place: Place) -> bool:
    same = (at.group_version, at.plural) == (place.group_version, place.plural)
    return same and place.namespace in ("", at.namespace)


def _identity(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _matches(item: Object, labels: Mapping[str, str]) -> bool:
    return labels.items() <= (item["metadata"].get("labels") or {}).items()


def equalities(selector: str) -> dict[str, str]:
    """ "a=b,c=d" as the lab writes them; a label that only has to exist is left out."""
    pairs = (part.partition("=") for part in selector.split(",") if "=" in part)
    return {key: value for key, _, value in pairs}


def merged(old: Any, new: Any) -> Any:
    """As a merge patch has it (RFC 7396); near enough to the other kinds of patch for what the lab reads again."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    result = {**old}
    for key, value in new.items():
        result[key] = merged(old.get(key), value)
    return {key: value for key, value in result.items() if value is not None}
