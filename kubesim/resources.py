"""The kinds the API serves: one frozen `Resource` per kind, built-in or from a CustomResourceDefinition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeVar, cast

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as decoded JSON. What comes out of the store or a `Client` is shared: `clone` before changing it."""

Json = TypeVar("Json")


def clone(value: Json) -> Json:
    """A JSON value of its own. `copy.deepcopy` remembers every part it has seen, which trees do not need, and takes three times as long."""
    return cast("Json", _clone(value))


def _clone(value: Any) -> Any:
    if type(value) is dict:
        return {key: _clone(one) if type(one) in (dict, list) else one for key, one in value.items()}
    if type(value) is list:
        return [_clone(one) if type(one) in (dict, list) else one for one in value]
    return value


ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One served kind at one version.

    `key` is its name everywhere inside kubesim: "v1/pods", "apps/v1/deployments". `subresources` maps a subresource's name to its verbs.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[tuple[str, tuple[str, ...]], ...] = ()
    singular: str = ""
    list_kind: str = ""
    custom: bool = False

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def key(self) -> str:
        return f"{self.api_version}/{self.plural}"

    @cached_property
    def group_resource(self) -> str:
        """As error messages name it: "pods", "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def storage(self) -> str:
        """Where its objects live in the store. Versions of one kind share it, and events.k8s.io shares with core events."""
        return "events" if self.group == "events.k8s.io" else self.group_resource

    def has(self, subresource: str) -> bool:
        return any(name == subresource for name, _ in self.subresources)

    def verbs_of(self, subresource: str) -> tuple[str, ...]:
        """The verbs of the kind itself (subresource "") or of one of its subresources."""
        return (
            next((verbs for name, verbs in self.subresources if name == subresource), ()) if subresource else self.verbs
        )


class Registry:
    """The kinds served now: the built-in ones, and those that CustomResourceDefinitions add and remove.

    `generation` grows with every change, for whoever caches something made of it (discovery, OpenAPI).
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.generation = 0
        self._resources = {resource.key: resource for resource in resources}

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._resources.values()))

    def find(self, key: str) -> Resource | None:
        return self._resources.get(key)

    def __getitem__(self, key: str) -> Resource:
        return self._resources[key]

    def add(self, resources: Iterable[Resource]) -> None:
        self._resources |= {resource.key: resource for resource in resources}
        self.generation += 1

    def discard(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._resources.pop(key, None)
        self.generation += 1

    def groups(self) -> dict[str, list[str]]:
        """Group names in the order they are served, each with its versions, the preferred one first. Core is the group ""."""
        found: dict[str, list[str]] = {}
        for resource in self._resources.values():
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {group: sorted(versions, key=version_priority) for group, versions in found.items()}

    def of(self, group: str, version: str) -> list[Resource]:
        return [each for each in self._resources.values() if each.group == group and each.version == version]


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sorts v2 before v1 before v2beta1 before v1alpha1 before anything else, as Kubernetes does."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not match:
        return (3, 0, 0, version)
    major, stage, minor = match.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), version)
