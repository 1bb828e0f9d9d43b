"""Fields that a JSON body names twice; decoders keep the last one silently."""

from __future__ import annotations

import json
from typing import Any


class _Pairs(list[tuple[str, Any]]):
    """An object as read, duplicates included."""


def duplicates(raw: bytes | str) -> list[str]:
    """'duplicate field "spec.replicas"' for each field named more than once. Raises ValueError where `raw` is no JSON."""
    found: list[str] = []
    _walk(json.loads(raw, object_pairs_hook=_Pairs), "", found)
    return [f'duplicate field "{path}"' for path in found]


def _walk(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, child in value:
            here = f"{path}.{key}" if path else key
            if key in seen and here not in found:
                found.append(here)
            seen.add(key)
            _walk(child, here, found)
    elif isinstance(value, list):
        for at, child in enumerate(value):
            _walk(child, f"{path}[{at}]", found)
