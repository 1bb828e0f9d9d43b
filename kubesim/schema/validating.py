"""Validation of a value by a structural schema, with the messages of Kubernetes's OpenAPI validation."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any
from urllib.parse import urlparse

from kubesim.errors import Cause

Schema = dict[str, Any]
EMBEDDED = "x-kubernetes-embedded-resource"
TYPE_INVALID = "FieldValueTypeInvalid"
INT_OR_STRING = "x-kubernetes-int-or-string"
TYPES = {str: "string", int: "integer", float: "number", dict: "object", list: "array", type(None): "null"}


def type_of(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else TYPES[type(value)]


def shown(value: Any) -> str:
    if isinstance(value, (str, dict, list, bool)) or value is None:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def invalid(path: str, value: Any, detail: str, reason: str = "FieldValueInvalid") -> Cause:
    return Cause(reason, f"Invalid value: {shown(value)}: {detail}", path)


def validate(schema: Schema, value: Any, path: str = "") -> list[Cause]:
    """Everything wrong with the value, in the order of the schema."""
    found: list[Cause] = []
    if value is None and (schema.get("nullable") or not schema.get("type")):
        return found
    wrong = _type(schema, value, path)
    if wrong:
        return [wrong]
    if "enum" in schema and not any(same(value, each) for each in schema["enum"]):
        allowed = ", ".join(shown(each) for each in schema["enum"])
        found.append(
            Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {allowed}", path)
        )
    if isinstance(value, str):
        found += _string(schema, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found += _number(schema, value, path)
    elif isinstance(value, list):
        found += _array(schema, value, path)
    elif isinstance(value, dict):
        found += _object(schema, value, path)
    return found + _combined(schema, value, path)


def same(first: Any, second: Any) -> bool:
    return type_of(first) == type_of(second) and bool(first == second)


def _type(schema: Schema, value: Any, path: str) -> Cause | None:
    wanted, actual = schema.get("type"), type_of(value)
    if schema.get(INT_OR_STRING):
        allowed: tuple[str, ...] = ("integer", "string")
        wanted = "integer,string"
    else:
        allowed = ("number", "integer") if wanted == "number" else (str(wanted),)
    if not wanted or actual in allowed or (wanted == "integer" and actual == "number" and float(value).is_integer()):
        return None
    return invalid(path, actual, f'{path} in body must be of type {wanted}: "{actual}"', TYPE_INVALID)


@lru_cache(maxsize=1024)
def pattern(text: str) -> re.Pattern[str] | None:
    """Go's pattern in Python; None for one Python cannot read."""
    try:
        return re.compile(re.sub(r"\\z", r"\\Z", text.replace(r"\pL", r"[^\W\d_]").replace(r"\pN", r"\d")))
    except re.error:
        return None


def _string(schema: Schema, value: str, path: str) -> list[Cause]:
    found = []
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {schema['maxLength']} bytes", path))
    if "minLength" in schema and len(value) < schema["minLength"]:
        found.append(invalid(path, value, f"{path} in body should be at least {schema['minLength']} chars long"))
    if "pattern" in schema:
        compiled = pattern(schema["pattern"])
        if compiled is not None and compiled.search(value) is None:
            found.append(invalid(path, value, f"{path} in body should match '{schema['pattern']}'"))
    check = FORMATS.get(schema.get("format", ""))
    if check is not None and not check(value):
        found.append(_format_error(schema, value, path))
    return found


def _format_error(schema: Schema, value: Any, path: str) -> Cause:
    return invalid(path, value, f"{path} in body must be of type {schema['format']}: {shown(value)}", TYPE_INVALID)


def _number(schema: Schema, value: float, path: str) -> list[Cause]:
    found = []
    if "maximum" in schema:
        top, strict = schema["maximum"], schema.get("exclusiveMaximum")
        if value > top or (strict and value == top):
            found.append(invalid(path, value, f"{path} in body should be less than {_or_equal(strict)}{shown(top)}"))
    if "minimum" in schema:
        low, strict = schema["minimum"], schema.get("exclusiveMinimum")
        if value < low or (strict and value == low):
            found.append(invalid(path, value, f"{path} in body should be greater than {_or_equal(strict)}{shown(low)}"))
    if schema.get("multipleOf") and Fraction(str(value)) % Fraction(str(schema["multipleOf"])):
        found.append(invalid(path, value, f"{path} in body should be a multiple of {shown(schema['multipleOf'])}"))
    bits = {"int32": 32, "int64": 64}.get(schema.get("format", ""))
    if bits and not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        found.append(_format_error(schema, value, path))
    return found


def _or_equal(strict: bool | None) -> str:
    return "" if strict else "or equal to "


def _array(schema: Schema, value: list[Any], path: str) -> list[Cause]:
    found = []
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        most = schema["maxItems"]
        found.append(Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items", path))
    if "minItems" in schema and len(value) < schema["minItems"]:
        found.append(invalid(path, len(value), f"{path} in body should have at least {schema['minItems']} items"))
    if schema.get("uniqueItems") and len({shown(each) for each in value}) < len(value):
        found.append(invalid(path, value, f"{path} in body shouldn't contain duplicates"))
    items = schema.get("items")
    if isinstance(items, dict):
        for at, item in enumerate(value):
            found += validate(items, item, f"{path}[{at}]")
    return found + _list_type(schema, value, path)


def _list_type(schema: Schema, value: list[Any], path: str) -> list[Cause]:
    """Items of sets and maps are unique."""
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return []
    seen, found = set(), []
    for at, item in enumerate(value):
        keys = schema.get("x-kubernetes-list-map-keys", ())
        mapped = kind == "map" and isinstance(item, dict)
        key = {name: item[name] for name in keys if name in item} if mapped else item
        text = json.dumps(key, sort_keys=True)
        if text in seen:
            found.append(Cause("FieldValueDuplicate", f"Duplicate value: {shown(key)}", f"{path}[{at}]"))
        seen.add(text)
    return found


def _object(schema: Schema, value: dict[str, Any], path: str) -> list[Cause]:
    found = []
    for name in schema.get("required", ()):
        if name not in value:
            found.append(Cause("FieldValueRequired", "Required value", join(path, name)))
    if "maxProperties" in schema and len(value) > schema["maxProperties"]:
        most = schema["maxProperties"]
        found.append(Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items", path))
    if "minProperties" in schema and len(value) < schema["minProperties"]:
        least = schema["minProperties"]
        found.append(invalid(path, len(value), f"{path} in body should have at least {least} properties"))
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
    for name, child in value.items():
        if name in properties:
            found += validate(properties[name], child, join(path, name))
        elif isinstance(additional, dict):
            found += validate(additional, child, join(path, name))
    if schema.get(EMBEDDED):
        missing = [name for name in ("apiVersion", "kind") if not value.get(name)]
        found += [
            Cause("FieldValueRequired", "Required value: must not be empty", join(path, name)) for name in missing
        ]
    return found


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _combined(schema: Schema, value: Any, path: str) -> list[Cause]:
    """allOf, anyOf, oneOf and not."""
    found = []
    for part in schema.get("allOf", ()):
        found += validate(part, value, path)
    if schema.get("anyOf"):
        tried = [validate(part, value, path) for part in schema["anyOf"]]
        if all(tried):
            found += [invalid(path, "", f'"{path}" must validate at least one schema (anyOf)'), *_nearest(tried)]
    if schema.get("oneOf"):
        tried = [validate(part, value, path) for part in schema["oneOf"]]
        valid = sum(not each for each in tried)
        if valid != 1:
            which = "Found none valid" if not valid else f"Found {valid} valid alternatives"
            found.append(invalid(path, "", f'"{path}" must validate one and only one schema (oneOf). {which}'))
            found += _nearest(tried) if not valid else []
    if "not" in schema and not validate(schema["not"], value, path):
        found.append(invalid(path, "", f'"{path}" must not validate the schema (not)'))
    return found


def _nearest(tried: list[list[Cause]]) -> list[Cause]:
    """What the alternative that fits best refuses."""
    return min(tried, key=lambda each: len(each))


def _readable(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _matches(text: str) -> Callable[[str], bool]:
    compiled = re.compile(text)
    return lambda value: compiled.fullmatch(value) is not None


def _datetime(text: str) -> object:
    if not re.match(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d", text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper())


HOSTNAME = r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?"
UNITS = "ns|us|µs|ms|s|m|h|d|w|nanosecs?|millis?|secs?|seconds?|mins?|minutes?|hours?|hrs?|days?|weeks?"
FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _readable(date.fromisoformat),
    "date-time": _readable(_datetime),
    "datetime": _readable(_datetime),
    "duration": _matches(rf"-?(\d+(\.\d+)?\s*({UNITS})\s*)+|0"),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _matches(HOSTNAME),
    "ipv4": _readable(ipaddress.IPv4Address),
    "ipv6": _readable(ipaddress.IPv6Address),
    "cidr": _readable(lambda text: ipaddress.ip_network(text, strict=False)),
    "mac": _matches(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"),
    "uri": lambda text: bool(urlparse(text).scheme) or text.startswith("/"),
    "uuid": _readable(uuid.UUID),
    "uuid3": _readable(uuid.UUID),
    "uuid4": _readable(uuid.UUID),
    "uuid5": _readable(uuid.UUID),
    "byte": _readable(lambda text: base64.b64decode(text, validate=True)),
    "hexcolor": _matches(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
}
"""The formats Kubernetes checks; it ignores the others."""
