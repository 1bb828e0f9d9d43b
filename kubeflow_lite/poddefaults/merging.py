"""Adding PodDefaults' entries to what a pod has. Pure: nothing given is changed.

One rule for everything that has a key: an entry whose key is new is appended; an equal entry is there already; an unequal one is a
conflict, reported in stock Kubeflow's words (values as JSON, where stock prints Go structs).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubeflow_lite.objects import Object, name


@dataclass(frozen=True)
class Merged:
    """What the pod shall have, and what stands against it."""

    value: Any
    problems: tuple[str, ...] = ()


def merge_list(
    existing: Sequence[Object] | None, defaults: Sequence[Object], *, field: str, key: str, what: str
) -> Merged:
    """`spec.<field>` of every PodDefault into a list keyed by `key`; `what` names the list in messages."""
    merged = list(existing or [])
    known = {entry.get(key): entry for entry in merged}
    problems = []
    for source, entry in _entries(defaults, field):
        at = entry.get(key)
        if at not in known:
            known[at] = entry
            merged.append(entry)
        elif known[at] != entry:
            problems.append(
                _conflict(f"merging {what} for {source} has a conflict on {at}", entry, known[at], "container")
            )
    return Merged(merged, tuple(problems))


def merge_mounts(existing: Sequence[Object] | None, defaults: Sequence[Object]) -> Merged:
    """volumeMounts have two keys: a name may be mounted once only (as in stock), and so may a path."""
    by_name = merge_list(existing, defaults, field="volumeMounts", key="name", what="volume mounts")
    paths = {mount.get("mountPath"): mount for mount in existing or []}
    problems = list(by_name.problems)
    for source, mount in _entries(defaults, "volumeMounts"):
        path = mount.get("mountPath")
        present = paths.setdefault(path, mount)
        if present != mount:
            text = f"merging volume mounts for {source} has a conflict on mount path {path}"
            problems.append(_conflict(text, mount, present, "container"))
    return Merged(by_name.value, tuple(problems))


def merge_map(existing: dict[str, str] | None, defaults: Sequence[Object], *, field: str) -> Merged:
    """Annotations or labels."""
    merged = dict(existing or {})
    problems = []
    for default in defaults:
        for key, value in (default["spec"].get(field) or {}).items():
            present = merged.setdefault(key, value)
            if present != value:
                problems.append(_conflict(f"merging has conflict on {key}", value, present, "pod"))
    return Merged(merged, tuple(problems))


def aggregate(problems: Sequence[str]) -> str:
    """Several problems as one message, each once, the way Kubernetes joins errors."""
    unique = list(dict.fromkeys(problems))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def _entries(defaults: Sequence[Object], field: str) -> Iterable[tuple[str, Object]]:
    return ((name(default), entry) for default in defaults for entry in default["spec"].get(field) or [])


def _conflict(head: str, wanted: object, present: object, where: str) -> str:
    return f"{head}: \n{json.dumps(wanted, sort_keys=True)}\ndoes not match\n{json.dumps(present, sort_keys=True)}\n in {where}"
