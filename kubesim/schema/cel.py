"""x-kubernetes-validations: CEL rules over `self` and `oldSelf`.

Expressions are evaluated by the common-expression-language package, which is imported when the first rule is seen (a third of a second).
Functions that Kubernetes adds to CEL and the package lacks are given here. Costs are not estimated.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import urlparse

from kubesim import quantity
from kubesim.errors import Cause
from kubesim.schema.validating import join, shown, type_of

Schema = dict[str, Any]
RULES = "x-kubernetes-validations"
RESERVED = frozenset(
    re.findall(
        "[a-z]+",
        "as break const continue else false for function if import in let loop namespace null package return true var void while",
    )
)
REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
FAILURES = (ValueError, RuntimeError, KeyError, TypeError, IndexError, ArithmeticError, AttributeError)


class RuleError(Exception):
    """A rule that cannot be compiled or evaluated; the text is the library's."""


@lru_cache(maxsize=2048)
def program(text: str) -> Any:
    """The compiled rule. Raises RuleError."""
    try:
        return importlib.import_module("cel").compile(text)
    except (ValueError, RuntimeError) as error:
        raise RuleError(str(error)) from error


_BUILT_IN = frozenset(
    re.findall(
        r"\S+",
        """size int uint double string bytes duration timestamp type dyn has matches startsWith endsWith contains
        optional.of optional.none of none ofNonZeroValue hasValue value orValue or getFullYear getMonth getDate getDayOfMonth getDayOfWeek
        getDayOfYear getHours getMinutes getSeconds getMilliseconds""",
    )
)
_TYPES = frozenset(("int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type", "type", "optional"))
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*(?:,\s*([A-Za-z_]\w*)\s*,)?")


def undeclared(text: str) -> list[str]:
    """Names in a rule that mean nothing here. Raises RuleError where it is no rule at all."""
    names = program(text)
    bound = {name for found in _BOUND.findall(text) for name in found if name}
    functions = {name for name in names.functions() if name[0].isalpha()} - _BUILT_IN - FUNCTIONS.keys()
    variables = {name for name in names.variables() if name[0] != "@"} - _TYPES - bound - {"self", "oldSelf"}
    return sorted(functions | variables)


def uses_old(text: str) -> bool:
    """Whether a rule is a transition rule, checked only where there is an old value."""
    return re.search(r"\boldSelf\b", text) is not None


def below(schema: Schema, key: str) -> Schema | None:
    """The schema that a map's value is validated by, if any."""
    found = (schema.get("properties") or {}).get(key, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def has_rules(schema: Schema) -> bool:
    """Whether any rule stands anywhere in the schema."""
    if schema.get(RULES):
        return True
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(has_rules(each) for each in inner if isinstance(each, dict))


def validate(schema: Schema, value: Any, old: Any = None, path: str = "") -> list[Cause]:
    """What the rules refuse. `old` is the value before, None where there is none (then transition rules are skipped)."""
    found: list[Cause] = []
    if value is None:
        return found
    for rule in schema.get(RULES, ()):
        found += _checked(rule, schema, value, old=old, path=path)
    if isinstance(value, dict):
        for key, child in value.items():
            inner = below(schema, key)
            if inner is not None:
                found += validate(inner, child, old.get(key) if isinstance(old, dict) else None, join(path, key))
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for at, item, before in _paired(schema, value, old):
            found += validate(schema["items"], item, before, f"{path}[{at}]")
    return found


def _paired(schema: Schema, value: list[Any], old: Any) -> Iterator[tuple[int, Any, Any]]:
    """Items with what they were: only items of map lists can be told apart from new ones."""
    mapped = schema.get("x-kubernetes-list-type") == "map"
    keys = schema.get("x-kubernetes-list-map-keys", ()) if mapped else ()

    def key(item: Any) -> tuple[str, ...] | None:
        return tuple(str(item.get(name)) for name in keys) if keys and isinstance(item, dict) else None

    before = {key(item): item for item in old or () if key(item)}
    for at, item in enumerate(value):
        yield at, item, before.get(key(item)) if key(item) else None


def _checked(rule: Schema, schema: Schema, value: Any, *, old: Any, path: str) -> list[Cause]:
    text, optional = rule.get("rule", ""), bool(rule.get("optionalOldSelf"))
    if uses_old(text) and old is None and not optional:
        return []
    where = (path + rule.get("fieldPath", "")).lstrip(".") or "<nil>"
    kind = schema.get("type") or type_of(value)
    try:
        if evaluate(text, value, old, optional=optional) is True:
            return []
    except RuleError as error:
        return [Cause("FieldValueInvalid", f'Invalid value: "{kind}": rule evaluation error: {error}: {text}', where)]
    reason = rule.get("reason") if rule.get("reason") in REASONS else "FieldValueInvalid"
    assert reason is not None
    return [Cause(reason, _message(rule, kind, value, old=old, reason=reason), where)]


def _message(rule: Schema, kind: str, value: Any, *, old: Any, reason: str) -> str:
    detail = rule.get("message") or f"failed rule: {rule.get('rule', '').strip()}"
    if rule.get("messageExpression"):
        try:
            made = evaluate(rule["messageExpression"], value, old, optional=bool(rule.get("optionalOldSelf")))
            detail = made if isinstance(made, str) and made.strip() and "\n" not in made else detail
        except RuleError:
            pass  # Kubernetes falls back to the message too
    starts = {"FieldValueForbidden": "Forbidden", "FieldValueRequired": "Required value"}
    if reason in starts:
        return f"{starts[reason]}: {detail}"
    if reason == "FieldValueDuplicate":
        return f"Duplicate value: {shown(kind)}"
    return f'Invalid value: "{kind}": {detail}'


def evaluate(text: str, value: Any, old: Any = None, *, optional: bool = False) -> Any:
    """The rule's value; `optional` has oldSelf be an optional value, which a new object has none of. Raises RuleError."""
    variables: dict[str, Any] = {"self": escaped(value)}
    if uses_old(text):
        variables["oldSelf"] = _optional(escaped(old)) if optional else escaped(old)
    try:
        return program(text).execute(variables | FUNCTIONS)
    except FAILURES as error:
        what = f"no such key: {error.args[0]}" if isinstance(error, KeyError) and error.args else str(error)
        raise RuleError(what) from error


def _optional(value: Any) -> Any:
    found = importlib.import_module("cel").OptionalValue
    return found.none() if value is None else found.of(value)


def escaped(value: Any) -> Any:
    """The value with CEL names beside the fields whose names CEL cannot say (`namespace` is `__namespace__`)."""
    if isinstance(value, dict):
        made = {key: escaped(child) for key, child in value.items()}
        return made | {cel_name(key): made[key] for key in value if cel_name(key) != key}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value


@lru_cache(maxsize=4096)
def cel_name(key: str) -> str:
    if key in RESERVED:
        return f"__{key}__"
    if key.isidentifier() and "__" not in key:
        return key
    for plain, name in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        key = key.replace(plain, name)
    return key


def _is(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def _sorted(values: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))


def _index_of(values: Any, wanted: Any) -> int:
    if isinstance(values, str):
        return values.find(wanted)
    return values.index(wanted) if wanted in values else -1


def _last_index_of(values: Any, wanted: Any) -> int:
    if isinstance(values, str):
        return values.rfind(wanted)
    return max((at for at, value in enumerate(values) if value == wanted), default=-1)


def _find(text: str, expression: str) -> str:
    found = re.search(expression, text)
    return found.group(0) if found else ""


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "isURL": lambda text: bool(urlparse(text).scheme and urlparse(text).netloc),
    "isIP": _is(ipaddress.ip_address),
    "isCIDR": _is(lambda text: ipaddress.ip_network(text, strict=False)),
    "isQuantity": quantity.valid,
    "isSorted": _sorted,
    "sum": sum,
    "min": min,
    "max": max,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "find": _find,
    "findAll": lambda text, expression: [match.group(0) for match in re.finditer(expression, text)],
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, separator: text.split(separator),
    "trim": lambda text: text.strip(),
    "join": lambda values, separator="": separator.join(values),
    "substring": lambda text, start, end=None: text[start:end],
    "charAt": lambda text, at: text[at : at + 1],
}
"""What Kubernetes adds to CEL: strings, lists, URLs, addresses."""
