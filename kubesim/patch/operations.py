"""JSON patch (RFC 6902), as Kubernetes applies it: all operations or none, and every failure is the same 422."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from kubesim import bounds
from kubesim.errors import BadRequest, Invalid, TooLarge
from kubesim.resources import Object, clone

MAX_OPERATIONS = 10_000
MAX_COPIED = 3 * 1024 * 1024
"""Copies of copies double: what all of a patch's copies take together is bounded, as in Kubernetes."""
REJECTED = "the server rejected our request due to an error in our request"


def json_patch(obj: Object, operations: object) -> Object:
    """The object after all operations. Raises BadRequest for what is no patch, Invalid where an operation cannot be done or a test fails."""
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}")
    document: Any = clone(obj)
    copied = 0
    try:
        for operation in operations:
            if operation["op"] == "copy":
                copied += _size(document, operation)
            if copied > MAX_COPIED:
                raise TooLarge(f"the copy operations of a JSON patch may copy {MAX_COPIED} bytes, which is exceeded")
            document = OPERATIONS[operation["op"]](document, operation)
        bounds.check(document)
    except bounds.Unbounded as error:
        raise BadRequest(f"json: {error}") from None
    except (LookupError, ValueError, TypeError) as error:
        raise Invalid(REJECTED) from error
    if not isinstance(document, dict):
        raise Invalid(REJECTED)
    return document


def pointer(text: object) -> list[str]:
    """A JSON pointer's parts, unescaped."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise ValueError(f"not a JSON pointer: {text!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(part: str, length: int) -> int:
    """An index into a list; negative ones count from the end, as in Kubernetes's library."""
    if part.lstrip("-").isdigit() and (part == "0" or part.lstrip("-")[0] != "0"):
        index = int(part)
        index += length if index < 0 else 0
        if 0 <= index < length:
            return index
    raise IndexError(part)


def _get(document: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(document, list):
            document = document[_index(part, len(document))]
        elif isinstance(document, dict):
            document = document[part]
        else:
            raise KeyError(part)
    return document


def _put(document: Any, parts: list[str], value: Any) -> Any:
    """Insert or set."""
    if not parts:
        return value
    parent, last = _get(document, parts[:-1]), parts[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise KeyError(last)
    return document


def _take(document: Any, parts: list[str]) -> Any:
    """Remove and return what stands there."""
    parent, last = _get(document, parts[:-1]), parts[-1]
    if isinstance(parent, list):
        return parent.pop(_index(last, len(parent)))
    if isinstance(parent, dict):
        return parent.pop(last)
    raise KeyError(last)


def _add(document: Any, operation: Object) -> Any:
    return _put(document, pointer(operation["path"]), clone(operation["value"]))


def _remove(document: Any, operation: Object) -> Any:
    _take(document, pointer(operation["path"]))
    return document


def _replace(document: Any, operation: Object) -> Any:
    parts = pointer(operation["path"])
    if not parts:
        return clone(operation["value"])
    parent, last = _get(document, parts[:-1]), parts[-1]
    if isinstance(parent, dict) and last not in parent:
        raise KeyError(last)
    parent[_index(last, len(parent)) if isinstance(parent, list) else last] = clone(operation["value"])
    return document


def _move(document: Any, operation: Object) -> Any:
    source, target = pointer(operation["from"]), pointer(operation["path"])
    if source == target:
        _get(document, source)
        return document
    if target[: len(source)] == source:
        raise ValueError("cannot move a value into itself")
    return _put(document, target, _take(document, source))


def _size(document: Any, operation: Object) -> int:
    return len(orjson.dumps(_get(document, pointer(operation["from"]))))


def _copy(document: Any, operation: Object) -> Any:
    return _put(document, pointer(operation["path"]), clone(_get(document, pointer(operation["from"]))))


def _test(document: Any, operation: Object) -> Any:
    """A path that is not there equals null, as in Kubernetes's library."""
    parts, wanted = pointer(operation["path"]), operation.get("value")
    parent = _get(document, parts[:-1]) if parts else document
    missing = bool(parts) and isinstance(parent, dict) and parts[-1] not in parent
    found = None if missing else _get(document, parts)
    if not same(found, wanted):
        raise ValueError("testing value failed")
    return document


def same(first: Any, second: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, and true is not 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


OPERATIONS: dict[str, Callable[[Any, Object], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
