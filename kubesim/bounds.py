"""How deep and how large a body may unfold, so that no request exhausts the stack or the memory of everyone's server.

Kubernetes bounds nesting at 10,000 levels; here it is 200, which leaves room for what lists, events and managedFields put around an object.
"""

from __future__ import annotations

from typing import Any

import orjson
import yaml

DEEPEST = 200
ALIASES = 10
_WRAPPED = 254 - DEEPEST
"""orjson refuses to write more than 254 levels, at no cost worth naming: with these many around it, a value may have DEEPEST."""


class Unbounded(Exception):
    """The message says which bound."""


def check(value: Any) -> None:
    """Raises Unbounded for a JSON value that is nested too deep."""
    for _ in range(_WRAPPED):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise Unbounded(f"exceeded max depth of {DEEPEST}") from None


def load_json(data: bytes) -> Any:
    """Raises orjson.JSONDecodeError for what is no JSON, Unbounded for what is too deep."""
    value = orjson.loads(data)
    if data.count(b"{") + data.count(b"[") > DEEPEST:
        check(value)
    return value


def load_yaml(data: bytes) -> Any:
    """Raises yaml.YAMLError, or Unbounded.

    The events are counted before anything is built of them: libyaml builds recursively, and aliases of aliases grow exponentially.
    """
    depth = aliases = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for event in yaml.parse(data, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > DEEPEST:
            raise Unbounded(f"exceeded max depth of {DEEPEST}")
        if aliases > ALIASES:
            raise Unbounded("document contains excessive aliasing")
    return yaml.load(data, Loader=loader)
