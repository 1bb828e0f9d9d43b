"""Image names in manifests. They carry the lab's own names (ops-demo:serving); a cluster that pulls from a registry knows them by others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PULL_SECRET = "lab-registry"
"""With what nodes pull an image that has another name than the lab's own; where there is no such Secret they pull without."""
_CONTAINERS = ("containers", "initContainers")


def renamed(manifest: dict[str, Any], image: Callable[[str], str] | None) -> dict[str, Any]:
    """The same manifest with every container's image as `image` names it, wherever a pod template lies in it (Job, CronJob, Notebook).

    The manifest itself where there is nothing to rename: no copy is made of what is only sent.
    """
    if image is None:
        return manifest
    found = _walk(manifest, image)
    assert isinstance(found, dict)
    return found


def _walk(value: Any, image: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_walk(item, image) for item in value]
    if not isinstance(value, dict):
        return value
    made = {
        key: [_container(item, image) for item in inner]
        if key in _CONTAINERS and isinstance(inner, list)
        else _walk(inner, image)
        for key, inner in value.items()
    }
    if any(made.get(key) != value.get(key) for key in _CONTAINERS):
        made["imagePullSecrets"] = [*made.get("imagePullSecrets", []), {"name": PULL_SECRET}]
    return made


def _container(item: Any, image: Callable[[str], str]) -> Any:
    named = item.get("image") if isinstance(item, dict) else None
    return item | {"image": image(named)} if isinstance(named, str) else item
