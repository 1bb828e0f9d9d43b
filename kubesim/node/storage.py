"""Local storage of pods: what their containers and emptyDirs hold on disk, and which pods hold more than they may.

The kubelet evicts a pod whose emptyDir has outgrown its sizeLimit, whose container has written more than its ephemeral-storage limit, or that
as a whole holds more than its containers' limits together. It looks every ten seconds, and so does this: a quick write is not
refused, its pod ends a little later as Failed with reason Evicted. What an image brings along does not count, as on a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubesim import quantity
from kubesim.resources import Object

RESOURCE = "ephemeral-storage"


@dataclass(frozen=True)
class Held:
    """Bytes on disk, by container and by emptyDir."""

    containers: Mapping[str, int]
    folders: Mapping[str, int]


def limited(pod: Object) -> bool:
    """Whether anything of the pod is bounded: all others need not be looked at."""
    bounded = any(_limit(one) is not None for one in _containers(pod))
    return bounded or any(_size_limit(one) is not None for one in _folders(pod))


def excess(pod: Object, held: Held) -> str:
    """Why the pod is evicted, in the kubelet's words (its trailing blank too); empty where it is not."""
    for volume in _folders(pod):
        limit = _size_limit(volume)
        if limit is not None and held.folders.get(volume["name"], 0) > quantity.parse(limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    if message := _together(pod, held):
        return message
    for container in pod["spec"]["containers"]:
        limit = _limit(container)
        if limit is not None and held.containers.get(container["name"], 0) > quantity.parse(limit):
            return f'Container {container["name"]} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def _together(pod: Object, held: Held) -> str:
    """The pod's own bound: the sum of its containers' limits, where every one of them has a limit."""
    limits = [_limit(one) for one in pod["spec"]["containers"]]
    given = [quantity.parse(one) for one in limits if one is not None]
    in_memory = {one["name"] for one in _folders(pod) if one["emptyDir"].get("medium") == "Memory"}
    used = sum(held.containers.values()) + sum(size for name, size in held.folders.items() if name not in in_memory)
    if not given or len(given) < len(limits) or used <= sum(given):
        return ""
    total = quantity.format(sum(given), limits[0] or "")
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "


def _containers(pod: Object) -> Sequence[Object]:
    return [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]


def _folders(pod: Object) -> Sequence[Object]:
    return [one for one in pod["spec"].get("volumes") or [] if one.get("emptyDir") is not None]


def _limit(container: Object) -> str | None:
    found = ((container.get("resources") or {}).get("limits") or {}).get(RESOURCE)
    return None if found is None else str(found)


def _size_limit(volume: Object) -> str | None:
    found = volume["emptyDir"].get("sizeLimit")
    return str(found) if found is not None and quantity.parse(found) > 0 else None


def on_disk(folder: Path) -> int:
    """Bytes that a folder's files take on disk; links are not followed, and what goes meanwhile is not counted."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total
