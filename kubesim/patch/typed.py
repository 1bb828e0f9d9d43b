"""Whether an applied configuration fits its schema: declared fields only, every item of a map list with its keys, none twice.

Kubernetes answers a misfit with 500 and these words; kubesim takes it for what it is, a bad request.
"""

from __future__ import annotations

import json
from typing import Any

from kubesim.errors import BadRequest
from kubesim.patch.fieldset import element_text
from kubesim.patch.ownership import path_element
from kubesim.resources import Object
from kubesim.schema.model import Model
from kubesim.schema.shape import ANY, Shape


def check(model: Model, applied: Object) -> None:
    """Raise BadRequest naming everything that does not fit."""
    found: list[str] = []
    _walk(model.shape, applied, "", found)
    if found:
        metadata, resource = applied.get("metadata") or {}, model.resource
        what = (
            f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {resource.api_version}, Kind={resource.kind}"
        )
        text = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {each}" for each in found)
        raise BadRequest(f"failed to create typed patch object ({what}): {text}")


def _walk(shape: Shape, value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, dict) and shape.kind == "map":
        for key, child in value.items():
            field = shape.fields.get(key) or shape.element
            if field is None:
                found.append(f"{path}.{key}: field not declared in schema")
            elif isinstance(child, (dict, list)):
                _walk(field, child, f"{path}.{key}", found)
    elif isinstance(value, list) and shape.kind == "list":
        _items(shape, value, path, found)


def _items(shape: Shape, value: list[Any], path: str, found: list[str]) -> None:
    seen: set[str] = set()
    for at, item in enumerate(value):
        element = path_element(shape, item) if shape.list_type in ("map", "set") else f"i:{at}"
        if element is None or _lacks_key(shape, item):
            found.append(f"{path}: {_lacking(shape, at)}")
            continue
        if element in seen:
            found.append(f"{path}: duplicate entries for key {element_text(element)}")
        seen.add(element)
        if isinstance(item, (dict, list)):
            _walk(shape.element or ANY, item, path + element_text(element), found)


def _lacks_key(shape: Shape, item: Any) -> bool:
    if shape.list_type != "map" or shape.element is None:
        return False
    fields = shape.element.fields
    return not isinstance(item, dict) or any(
        key not in item and (key not in fields or fields[key].default is None) for key in shape.keys
    )


def _lacking(shape: Shape, at: int) -> str:
    keys = ", ".join(json.dumps(key) for key in shape.keys)
    return f"element {at}: associative list with keys has an element that omits key field {keys} (and doesn't have default value)"
