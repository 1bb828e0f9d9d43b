"""The JSONPath of printer columns: `.status.conditions[?(@.type=="Ready")].status`, `.spec.list[0]`, `.metadata.annotations['a\\.b']`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

STEP = re.compile(
    r"""
    \.(?P<field>(?:\\.|[^.\[\]])+)                                # .name, dots escaped
    | \[\?\(\s*@(?P<where>[^=!<>~]*?)\s*(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.+?)\s*\)\]   # [?(@.type=="Ready")]
    | \[\?\(\s*@(?P<exists>[^=!<>~]*?)\s*\)\]                     # [?(@.name)]
    | \[\s*['"](?P<quoted>(?:\\.|[^'"\\])*)['"]\s*\]              # ['name']
    | \[(?P<first>-?\d+)\]                                        # [0]
    | \[(?P<start>-?\d*):(?P<end>-?\d*)\]                         # [0:2]
    | (?P<all>\[\*\]|\.\*)                                        # [*]
    """,
    re.VERBOSE,
)


class PathError(ValueError):
    """A path that cannot be read."""


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[re.Match[str], ...]:
    """The path's steps. Raises PathError."""
    steps, at = [], 0
    while at < len(path):
        match = STEP.match(path, at)
        if match is None:
            raise PathError(f"cannot read {path!r} at {path[at:]!r}")
        steps.append(match)
        at = match.end()
    return tuple(steps)


def find(path: str, obj: Any) -> list[Any]:
    """Every value the path leads to."""
    found = [obj]
    for step in parse(path):
        found = [each for value in found for each in _take(step, value)]
    return found


def _take(step: re.Match[str], value: Any) -> Iterator[Any]:
    parts = step.groupdict()
    if parts["field"] is not None or parts["quoted"] is not None:
        name = re.sub(r"\\(.)", r"\1", parts["field"] if parts["field"] is not None else parts["quoted"])
        if name == "*":
            yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        elif isinstance(value, dict) and name in value:
            yield value[name]
    elif parts["first"] is not None:
        at = int(parts["first"])
        if isinstance(value, list) and -len(value) <= at < len(value):
            yield value[at]
    elif parts["all"]:
        yield from value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    elif parts["start"] is not None:
        yield from value[_end(parts["start"]) : _end(parts["end"])] if isinstance(value, list) else ()
    else:
        yield from (each for each in (value if isinstance(value, list) else ()) if _meets(parts, each))


def _end(text: str) -> int | None:
    return int(text) if text else None


def _meets(parts: dict[str, str | None], item: Any) -> bool:
    if parts["exists"] is not None:
        return bool(find(parts["exists"], item))
    wanted = _literal(parts["value"] or "")
    return any(_compare(parts["op"] or "", each, wanted) for each in find(parts["where"] or "", item))


def _literal(text: str) -> Any:
    if text[:1] in "'\"" and text[-1:] == text[:1]:
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator == "==":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    if not isinstance(left, type(right)) and not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])
