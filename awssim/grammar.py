"""What a call's parameters may be, by the models of its services that AWS publishes and botocore carries.

ministack takes any text for a name: a user called ``*`` would be a wildcard where a policy says ``${aws:username}``, and a session may last
for years. Only the top level of a call is judged: texts, numbers and the choices among words. Pure, but for reading the models once.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

_NUMBERS = ("integer", "long")
_SIMPLE = ("string", *_NUMBERS)


def problem(service: str, operation: str, parameters: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first parameter that is not as the service says, and why, in AWS's words; None where all are, or the operation is unknown."""
    shape = _input(service, operation)
    if shape is None:
        return None
    for name, member in shape.members.items():
        if member.type_name not in _SIMPLE:
            continue
        value = parameters.get(name)
        if value is None:
            reason = "Member must not be null" if name in shape.required_members else ""
        else:
            reason = _reason(member.type_name, member.metadata, value)
        if reason:
            return str(name), reason
    return None


def members(service: str, operation: str) -> frozenset[str] | None:
    """The names of an operation's parameters; None where the service has no such operation."""
    if operation not in _model(service).operation_names:
        return None
    shape = _input(service, operation)
    return frozenset(shape.members) if shape else frozenset()


def misfit(service: str, operation: str, call: Mapping[str, Any]) -> str:
    """Why a call's JSON is not of the operation's form (a list where a text belongs), in AWS's words; nothing where it is."""
    shape = _input(service, operation)
    return _misfit(shape, call) if shape else ""


def _misfit(shape: Any, value: Any) -> str:
    """As deep as the model goes, however deep the value is."""
    if value is None:
        return ""
    if not isinstance(value, _PYTHONS.get(shape.type_name, object)) or (
        shape.type_name in _NUMBERS and isinstance(value, bool)
    ):
        return f"{_TOKENS[type(value)]} can not be converted to {_JAVAS.get(shape.type_name, shape.type_name)}"
    within: list[tuple[Any, Any]] = []
    if shape.type_name == "structure":
        within = [(member, value.get(name)) for name, member in shape.members.items()]
    elif shape.type_name == "list":
        within = [(shape.member, item) for item in value]
    elif shape.type_name == "map":
        within = [(shape.value, item) for item in value.values()]
    return next((found for one in within if (found := _misfit(*one))), "")


_PYTHONS: dict[str, Any] = {
    "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "integer": int, "long": int, "blob": str,
}  # fmt: skip
_JAVAS = {
    "string": "String",
    "boolean": "Boolean",
    "integer": "Integer",
    "long": "Long",
    "list": "a list",
    "blob": "a blob",
}


_TOKENS = {
    bool: "BOOLEAN_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", str: "STRING_VALUE", list: "START_ARRAY", dict: "START_OBJECT",
}  # fmt: skip


def sentence(name: str, value: object, reason: str) -> str:
    """The whole message, as IAM and STS write it."""
    shown = "null" if value is None else f"'{value}'"
    member = name[0].lower() + name[1:]
    return f"1 validation error detected: Value {shown} at '{member}' failed to satisfy constraint: {reason}"


def _reason(kind: str, limits: Mapping[str, Any], value: Any) -> str:
    if kind in _NUMBERS:
        return _number(limits, str(value))
    text, words = str(value), limits.get("enum")
    if words and text not in words:
        return f"Member must satisfy enum value set: [{', '.join(words)}]"
    if (edge := _edge(limits, len(text))) is not None:
        return f"Member must have length {edge}"
    pattern = limits.get("pattern")
    if pattern and (form := _form(pattern)) and not form.fullmatch(text):
        return f"Member must satisfy regular expression pattern: {pattern}"
    return ""


def _number(limits: Mapping[str, Any], text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        return "Member must be a number"
    edge = _edge(limits, int(text))
    return "" if edge is None else f"Member must have value {edge}"


def _edge(limits: Mapping[str, Any], size: int) -> str | None:
    if size < limits.get("min", size):
        return f"greater than or equal to {limits['min']}"
    return f"less than or equal to {limits['max']}" if size > limits.get("max", size) else None


@functools.cache
def _form(pattern: str) -> re.Pattern[str] | None:
    """A pattern of the model, which is written for Java, or None where Python does not know it."""
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None


@functools.cache
def _model(service: str) -> Any:
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


def _input(service: str, operation: str) -> Any:
    model = _model(service)
    return model.operation_model(operation).input_shape if operation in model.operation_names else None
