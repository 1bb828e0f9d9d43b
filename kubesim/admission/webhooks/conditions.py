"""matchConditions: CEL expressions that say whether a webhook wants a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any


class ConditionError(Exception):
    """A condition could not be evaluated, and none of the others is false."""


@lru_cache(maxsize=512)
def _compiled(expression: str) -> Any:
    # Imported at the first condition: the package brings a command line along, 0.4 s that no start should pay.
    import cel

    return cel.compile(expression)


def hold(conditions: Sequence[Mapping[str, str]], variables: Mapping[str, Any]) -> bool:
    """Whether all are true; one that is false decides even where another fails. Raises ConditionError."""
    failed: list[str] = []
    for condition in conditions:
        try:
            if _compiled(condition["expression"]).execute(dict(variables)) is not True:
                return False
        except (ValueError, TypeError, RuntimeError, KeyError) as error:
            failed.append(f"match condition {condition.get('name', '')!r}: {error}")
    if failed:
        raise ConditionError("; ".join(failed))
    return True
