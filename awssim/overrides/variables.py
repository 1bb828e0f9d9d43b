"""``${aws:username}`` and its kin in policies: ministack compares them literally, so a policy that names them allows nothing.

Replaced in policies of the version that has variables (``overrides.principals``), in Resource, NotResource and condition values at the
moment a statement is matched, for identity and resource policies alike. A variable without a value and without a default makes its
Resource or condition value match nothing, as on AWS. ``${*}``, ``${?}`` and ``${$}`` stand for the characters themselves.
"""

import dataclasses
import re
from typing import Any

from awssim.overrides.replace import replace

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERAL = {"*": "\N{ASTERISK OPERATOR}", "?": "\N{FULLWIDTH QUESTION MARK}", "$": "$"}
_NOTHING = "\0"


def apply() -> None:
    from ministack.core import iam_evaluator

    def make(original: Any) -> Any:
        def first_match(context: Any, statements: list[Any], effect: str) -> Any:
            def value(key: str) -> Any:
                return iam_evaluator._resolve_condition_key(key, context)

            return original(context, [_substituted(statement, value) for statement in statements], effect)

        return first_match

    replace(iam_evaluator, "_first_match", make)


def _substituted(statement: Any, value: Any) -> Any:
    if getattr(statement, "literal", False) or not _mentions_variable(statement):
        return statement
    return dataclasses.replace(
        statement,
        resources=[expand(text, value) for text in statement.resources],
        not_resources=[expand(text, value) for text in statement.not_resources],
        conditions=_conditions(statement.conditions, value),
    )


def _mentions_variable(statement: Any) -> bool:
    texts = [*statement.resources, *statement.not_resources]
    return any("${" in text for text in texts) or "${" in str(statement.conditions)


def _conditions(conditions: Any, value: Any) -> Any:
    if isinstance(conditions, str):
        return expand(conditions, value)
    if isinstance(conditions, list):
        return [_conditions(item, value) for item in conditions]
    if isinstance(conditions, dict):
        return {key: _conditions(item, value) for key, item in conditions.items()}
    return conditions


def expand(text: str, value: Any) -> str:
    """``text`` with its variables replaced; ``value(key)`` gives a condition key's value or None."""

    def one(match: re.Match[str]) -> str:
        name, _, default = match.group(1).partition(",")
        if name in _LITERAL:
            return _LITERAL[name]
        found = value(name.strip())
        if isinstance(found, str):
            return found
        return default.strip().strip("'") if default else _NOTHING

    return _VARIABLE.sub(one, text)
