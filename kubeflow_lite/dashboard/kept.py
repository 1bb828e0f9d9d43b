"""Values that are made anew only when what they are made of has changed: of two hundred tenants one changes, and the others' rows stay.

The mirror replaces objects and never changes them, so two lists of objects that are the same are compared by identity, which is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Kept:
    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}

    def get(self, key: Hashable, make: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """`make(*given, **named)`, or what it gave for `key` last time, where it was given the same."""
        inputs = (given, named)
        known = self._known.get(key)
        if known is None or known[0] != inputs:
            known = self._known[key] = (inputs, make(*given, **named))
        made: T = known[1]
        return made
