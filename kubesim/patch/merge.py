"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any

from kubesim.errors import BadRequest
from kubesim.resources import Object, clone


def merge_patch(obj: Object, patch: object) -> Object:
    """The object with the patch's values; null removes, lists are replaced. Raises BadRequest where the patch is no object."""
    if not isinstance(patch, dict):
        raise BadRequest("json: cannot unmarshal array into Go value of type map[string]interface {}")
    merged = _merge(obj, patch)
    assert isinstance(merged, dict)
    return merged


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return clone(patch)
    merged = {key: value for key, value in target.items() if key not in patch} if isinstance(target, dict) else {}
    for key, value in merged.items():
        merged[key] = clone(value)
    before = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is not None:
            merged[key] = _merge(before.get(key), value)
    return merged
