"""Label and field selectors: the query language of list, watch, deletecollection and of every `selector` in a spec.

Pure. Error texts are those of k8s.io/apimachinery/pkg/labels, since kubectl prints them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.errors import BadRequest

_TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")
_SYMBOLS = {"==", "!=", "=", "!", ">", "<", "(", ")", ","}
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


@dataclass(frozen=True)
class Requirement:
    """One condition on one label. `operator` is in, notin, exists, !, gt or lt (equality is `in` with one value)."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        return self._compare(value)

    def _compare(self, value: str | None) -> bool:
        (bound,) = self.values
        if value is None or not value.lstrip("-").isdigit():
            return False
        return int(value) > int(bound) if self.operator == "gt" else int(value) < int(bound)


@dataclass(frozen=True)
class LabelSelector:
    """All requirements must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        return not self.nothing and all(requirement.matches(labels or {}) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def parse_labels(text: str) -> LabelSelector:
    """`text` as in `?labelSelector=`; raises BadRequest as the API server does."""
    return LabelSelector(tuple(_Parser(text).requirements())) if text.strip() else EVERYTHING


def from_label_selector(selector: Mapping[str, Any] | None) -> LabelSelector:
    """A meta/v1 LabelSelector (matchLabels, matchExpressions). None selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    found = [Requirement(key, "in", frozenset([value])) for key, value in (selector.get("matchLabels") or {}).items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for each in selector.get("matchExpressions") or ():
        found.append(Requirement(each["key"], operators[each["operator"]], frozenset(each.get("values") or ())))
    return LabelSelector(tuple(found))


class _Parser:
    """A recursive descent over the tokens of a label selector."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def requirements(self) -> Iterable[Requirement]:
        while True:
            yield self.requirement()
            token = self.take()
            if not token:
                return
            if token != ",":
                raise BadRequest(f"unable to parse requirement: found '{token}', expected: ',' or 'end of string'")

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.key(), "!")
        key = self.key()
        operator = self.peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self.take()
        if operator in ("=", "==", "!="):
            return Requirement(key, "notin" if operator == "!=" else "in", frozenset([self.value(key)]))
        if operator in ("in", "notin"):
            return Requirement(key, operator, frozenset(self.values(key)))
        if operator in (">", "<"):
            return Requirement(key, "gt" if operator == ">" else "lt", frozenset([self.number(key)]))
        expected = "in, notin, =, ==, !=, gt, lt"
        raise BadRequest(f"unable to parse requirement: found '{operator}', expected: {expected}")

    def key(self) -> str:
        token = self.take()
        if token in _SYMBOLS or not token:
            raise BadRequest(f"unable to parse requirement: found '{token}', expected: identifier")
        prefix, _, name = token.rpartition("/")
        if not _NAME.fullmatch(name) or len(name) > 63 or len(prefix) > 253:
            raise BadRequest(
                f'unable to parse requirement: <nil>: Invalid value: "{token}": name part must consist of alphanumeric characters'
            )
        return token

    def value(self, key: str) -> str:
        token = self.peek()
        if token in ("", ","):
            return ""
        self.take()
        if token in _SYMBOLS:
            raise BadRequest(f"unable to parse requirement: found '{token}', expected: identifier")
        if not _NAME.fullmatch(token) or len(token) > 63:
            raise BadRequest(
                f'unable to parse requirement: values[0][{key}]: Invalid value: "{token}": a valid label must be an empty string or consist '
                "of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
                "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )
        return token

    def number(self, key: str) -> str:
        value = self.value(key)
        if not value.lstrip("-").isdigit():
            raise BadRequest(
                f"unable to parse requirement: values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return value

    def values(self, key: str) -> Iterable[str]:
        if self.take() != "(":
            raise BadRequest(
                f"unable to parse requirement: found '{self.tokens[self.position - 1]}' expected: '('"
                if self.position <= len(self.tokens)
                else "unable to parse requirement: found '' expected: '('"
            )
        while True:
            yield "" if self.peek() in (",", ")") else self.value(key)
            token = self.take()
            if token == ")":
                return
            if token != ",":
                raise BadRequest(f"unable to parse requirement: found '{token}', expected: ',' or ')'")


@dataclass(frozen=True)
class FieldSelector:
    """Exact matches on a few fields: `terms` are (path, value, wanted equal)."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return all((field_value(obj, path) == value) is equal for path, value, equal in self.terms)

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(path for path, _, _ in self.terms)

    def exact(self, path: str) -> str | None:
        """The value `path` must have, where the selector says so."""
        return next((value for field, value, equal in self.terms if field == path and equal), None)


ANY = FieldSelector()


def parse_fields(text: str) -> FieldSelector:
    """`text` as in `?fieldSelector=`: a=b, a==b, a!=b joined by commas."""
    terms = []
    for term in filter(None, (part.strip() for part in _split(text))):
        match = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", term, re.DOTALL)
        if not match:
            raise BadRequest(f"invalid field selector: '{term}'; can't understand '{term}'")
        path, operator, value = match.groups()
        terms.append((path, re.sub(r"\\([\\,=])", r"\1", value), operator != "!="))
    return FieldSelector(tuple(terms))


def _split(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def field_value(obj: Mapping[str, Any], path: str) -> str:
    """The field as selectors compare it: text, with absent as the empty string and booleans in lower case."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
