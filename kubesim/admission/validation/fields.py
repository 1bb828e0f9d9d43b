"""Field errors in Kubernetes's words: collected while an object is looked at, raised together as one `Invalid`.

A message is `path: what: detail`; several are `[a, b]`. Values print as Go prints them: strings quoted, objects as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kubesim.errors import Cause, Invalid
from kubesim.resources import Object, Resource


def shown(value: Any) -> str:
    """A value as messages show it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


class Problems(list[Cause]):
    """The causes found so far."""

    def required(self, path: str, detail: str = "") -> None:
        self._add("FieldValueRequired", path, "Required value", detail)

    def invalid(self, path: str, value: Any, detail: str) -> None:
        self._add("FieldValueInvalid", path, f"Invalid value: {shown(value)}", detail)

    def forbidden(self, path: str, detail: str) -> None:
        self._add("FieldValueForbidden", path, "Forbidden", detail)

    def duplicate(self, path: str, value: Any, detail: str = "") -> None:
        self._add("FieldValueDuplicate", path, f"Duplicate value: {shown(value)}", detail)

    def not_found(self, path: str, value: Any) -> None:
        self._add("FieldValueNotFound", path, f"Not found: {shown(value)}", "")

    def unsupported(self, path: str, value: Any, supported: Iterable[Any]) -> None:
        allowed = ", ".join(shown(each) for each in supported)
        self._add(
            "FieldValueNotSupported",
            path,
            f"Unsupported value: {shown(value)}",
            f"supported values: {allowed}" if allowed else "",
        )

    def too_long(self, path: str, maximum: int) -> None:
        self._add("FieldValueTooLong", path, "Too long", f"may not be more than {maximum} bytes")

    def _add(self, reason: str, path: str, text: str, detail: str) -> None:
        self.append(Cause(reason, f"{text}: {detail}" if detail else text, path))

    def immutable(self, path: str, value: Any, old: Any, detail: str = "field is immutable") -> None:
        if value != old:
            self.invalid(path, value, detail)

    def choice(self, path: str, value: Any, supported: Iterable[Any]) -> None:
        """Required, and one of these."""
        if value in (None, ""):
            self.required(path)
        elif value not in supported:
            self.unsupported(path, value, sorted(supported))

    def at_least(self, path: str, value: Any, minimum: int = 0) -> None:
        if value is not None and value < minimum:
            self.invalid(path, value, f"must be greater than or equal to {minimum}")

    def raise_for(self, resource: Resource, name: str) -> None:
        """Raise Invalid where anything was found."""
        if self:
            raise invalid(resource, name, self)


def invalid(resource: Resource, name: str, causes: Iterable[Cause]) -> Invalid:
    """`Deployment.apps "web" is invalid: ...`"""
    found = list(causes)
    texts = list(dict.fromkeys(f"{cause.field or '<nil>'}: {cause.message}" for cause in found))
    message = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details: Object = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    return Invalid(f'{kind} "{name}" is invalid: {message}', details=details, causes=found)


def difference(before: Any, after: Any, path: str = "spec") -> str:
    """The changed leaves, one line each: what was, and what was sent."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return "".join(difference(before.get(key), after.get(key), f"{path}.{key}") for key in keys)
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return "".join(difference(one, other, f"{path}[{at}]") for at, (one, other) in pairs if one != other)
    return f"- \t{path}: {shown(before)},\n+ \t{path}: {shown(after)},\n"
