"""Reading a built-in object as the Go types would: wrong types are refused in Go's words, unknown fields and what `omitempty` hides are dropped.

So what is stored and answered is what Kubernetes would answer for the same request: `data: {}` and `hostNetwork: false` vanish, `resources: {}`
and `status: {}` appear, "1000m" is "1", a time is UTC to the second.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from kubesim import quantity
from kubesim.schema.shape import Shape


class DecodeError(Exception):
    """What Go's decoder would say."""


POINTER_STRINGS = frozenset(
    {"storageClassName", "ingressClassName", "appProtocol", "volumeAttributesClassName", "runtimeClassName", "podCIDR"}
)
VALUE_BOOLS = frozenset(
    {
        "allowed",
        "globalDefault",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "insecureSkipTLSVerify",
        "nullable",
        "paused",
        "preserveUnknownFields",
        "publishNotReadyAddresses",
        "readOnly",
        "stdin",
        "stdinOnce",
        "tty",
        "unschedulable",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    }
)
VALUE_INTS = frozenset(
    {
        "active",
        "availableReplicas",
        "count",
        "currentReplicas",
        "expectedPods",
        "failed",
        "failureThreshold",
        "fullyLabeledReplicas",
        "generation",
        "healthCheckNodePort",
        "hostPort",
        "initialDelaySeconds",
        "minReadySeconds",
        "nodePort",
        "numberAvailable",
        "numberUnavailable",
        "observedGeneration",
        "periodSeconds",
        "readyReplicas",
        "replicas",
        "signal",
        "succeeded",
        "successThreshold",
        "timeoutSeconds",
        "unavailableReplicas",
        "updatedNumberScheduled",
        "updatedReplicas",
    }
)
POINTER_PATHS = frozenset(
    {
        "apps.v1.DeploymentSpec.replicas",
        "apps.v1.ReplicaSetSpec.replicas",
        "apps.v1.StatefulSetSpec.replicas",
        "core.v1.ReplicationControllerSpec.replicas",
        "core.v1.ClientIPConfig.timeoutSeconds",
        "authorization.v1.SubjectAccessReviewStatus.allowed",
        "admissionregistration.v1.ValidatingWebhook.timeoutSeconds",
        "admissionregistration.v1.MutatingWebhook.timeoutSeconds",
        "storage.v1.CSINodeDriver.count",
        "core.v1.ContainerImage.count",
    }
)
"""Where a name of the lists above is a pointer after all, so that its zero is kept."""

ZERO = {"string": "", "int32": 0, "int64": 0, "bool": False}
TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


def decode(shape: Shape, value: Any, path: str = "") -> Any:
    """The value as it is stored. Raises DecodeError."""
    decoder = shape.codec or compile_shape(shape)
    return decoder(value, path)


def compile_shape(shape: Shape) -> Callable[[Any, str], Any]:
    """A decoder for one shape, made once."""
    decoder = _compile(shape)
    shape.codec = decoder
    return decoder


def _compile(shape: Shape) -> Callable[[Any, str], Any]:
    if shape.kind == "scalar":
        return SCALAR[shape.name]
    if shape.kind == "list":
        return _list_decoder(shape)
    if shape.kind == "any":
        return lambda value, path: value
    return _struct_decoder(shape) if shape.struct else _map_decoder(shape)


def _list_decoder(shape: Shape) -> Callable[[Any, str], Any]:
    element = shape.element
    assert element is not None

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise DecodeError(mismatch(value, path, go_type(shape)))
        decoder = element.codec or compile_shape(element)
        return [decoder(item if item is not None else zero_of(element), path) for item in value]

    return read


def _map_decoder(shape: Shape) -> Callable[[Any, str], Any]:
    element = shape.element
    assert element is not None

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise DecodeError(mismatch(value, path, go_type(shape)))
        decoder = element.codec or compile_shape(element)
        return {key: decoder(item if item is not None else zero_of(element), path) for key, item in value.items()}

    return read


def zero_of(shape: Shape) -> Any:
    """What a null inside a list or map of this element becomes."""
    if shape.kind in ("map", "list"):
        return {} if shape.kind == "map" else []
    return 0 if shape.name in ("quantity", "intstr") else ZERO.get(shape.name, "" if shape.kind == "scalar" else None)


def _struct_decoder(shape: Shape) -> Callable[[Any, str], Any]:
    fields = shape.fields
    omitted = {name: _omits(name, field) for name, field in fields.items()}
    always = {name: field for name, field in fields.items() if field.value}
    zeros = {name: ZERO.get(field.name) for name, field in fields.items() if _shown(shape, field)}
    short = shape.name.rpartition(".")[2]

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise DecodeError(mismatch(value, path, go_type(shape)))
        result = {}
        here = f"{short}.{path.partition('.')[2]}." if "." in path else f"{short}."
        for key, child in value.items():
            field = fields.get(key)
            if field is None or child is None:
                continue
            decoded = (field.codec or compile_shape(field))(child, here + key)
            if decoded or not omitted[key](decoded):
                result[key] = decoded
        for key, field in always.items():
            if key not in result:
                result[key] = decode(field, {}, path)
        return result if not zeros else {**zeros, **result}

    return read


def _shown(shape: Shape, field: Shape) -> bool:
    """Whether Go shows a zero or null where nothing is set. Of required fields only those in a status: elsewhere validation wants to see."""
    return field.bare or (
        field.required and field.kind == "scalar" and field.name in ZERO and shape.name.endswith("Status")
    )


def _omits(name: str, field: Shape) -> Callable[[Any], bool]:
    """Whether Go leaves an empty value of this field out."""
    if field.required or field.value or field.bare:
        return lambda value: False
    if field.kind in ("list", "any"):
        return lambda value: value == []
    if field.kind == "map":
        return (lambda value: False) if field.struct else (lambda value: value == {})
    if field.path in POINTER_PATHS:
        return lambda value: False
    if field.name in ("string", "time", "microtime", "bytes"):
        return (lambda value: False) if name in POINTER_STRINGS else (lambda value: value == "")
    if field.name == "bool":
        return lambda value: name in VALUE_BOOLS and value is False
    if field.name in ("int32", "int64"):
        return lambda value: name in VALUE_INTS and value == 0
    return lambda value: False


def _string(value: Any, path: str) -> Any:
    if type(value) is str:
        return value
    raise DecodeError(mismatch(value, path, "string"))


def _integer(bits: int) -> Callable[[Any, str], Any]:
    limit = 1 << (bits - 1)

    def read(value: Any, path: str) -> Any:
        if type(value) is int:
            if -limit <= value < limit:
                return value
            raise DecodeError(mismatch(value, path, f"int{bits}", text=f"number {value}"))
        if type(value) is float:
            if value.is_integer() and abs(value) < limit:
                return int(value)
            raise DecodeError(mismatch(value, path, f"int{bits}", text=f"number {value:g}"))
        raise DecodeError(mismatch(value, path, f"int{bits}"))

    return read


def _bool(value: Any, path: str) -> Any:
    if value is True or value is False:
        return value
    raise DecodeError(mismatch(value, path, "bool"))


def _double(value: Any, path: str) -> Any:
    if type(value) in (int, float):
        return value
    raise DecodeError(mismatch(value, path, "float64"))


def _quantity(value: Any, path: str) -> Any:
    if type(value) not in (str, int, float):
        raise DecodeError(mismatch(value, path, "resource.Quantity"))
    return _canonical(str(value).strip())


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    try:
        return quantity.canonical(text)
    except (ValueError, ArithmeticError) as error:
        raise DecodeError(str(error)) from error


def _intstr(value: Any, path: str) -> Any:
    if type(value) is str:
        return value
    return _integer(32)(value, path)


def _time(value: Any, path: str) -> Any:
    if type(value) is not str:
        raise DecodeError(mismatch(value, path, "string"))
    return _utc(value, micro=False)


def _microtime(value: Any, path: str) -> Any:
    if type(value) is not str:
        raise DecodeError(mismatch(value, path, "string"))
    return _utc(value, micro=True)


@lru_cache(maxsize=4096)
def _utc(text: str, *, micro: bool) -> str:
    if text == "":
        return ""
    match = TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
        raise DecodeError(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"') from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment.microsecond:06d}Z" if micro else "Z")


def _bytes(value: Any, path: str) -> Any:
    if type(value) is not str:
        raise DecodeError(mismatch(value, path, "[]uint8"))
    try:
        base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(f"illegal base64 data at input byte {_bad_byte(value)}") from error
    return value.replace("\n", "").replace("\r", "")


def _bad_byte(text: str) -> int:
    """Where Go's decoder stops: the first byte outside the alphabet, else the end of the last whole group."""
    match = re.search(r"[^A-Za-z0-9+/=]", text)
    return match.start() if match else len(text) // 4 * 4


SCALAR: dict[str, Callable[[Any, str], Any]] = {
    "string": _string,
    "int32": _integer(32),
    "int64": _integer(64),
    "bool": _bool,
    "double": _double,
    "quantity": _quantity,
    "intstr": _intstr,
    "time": _time,
    "microtime": _microtime,
    "bytes": _bytes,
}


def mismatch(value: Any, path: str, wanted: str, *, text: str = "") -> str:
    where = f"Go struct field {path}" if path else "Go value"
    return f"json: cannot unmarshal {text or json_kind(value)} into {where} of type {wanted}"


def json_kind(value: Any) -> str:
    """What Go calls this JSON value."""
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "number", float: "number", dict: "object", list: "array"}.get(type(value), "null")


def go_type(shape: Shape) -> str:
    """A shape's Go type: "[]v1.Container", "map[string]string", "v1.PodSpec"."""
    if shape.kind == "list":
        assert shape.element is not None
        return f"[]{go_type(shape.element)}"
    if shape.kind == "map" and not shape.struct:
        assert shape.element is not None
        return f"map[string]{go_type(shape.element)}"
    if shape.kind == "map":
        return ".".join(shape.name.split(".")[-2:])
    named = {
        "quantity": "resource.Quantity",
        "intstr": "intstr.IntOrString",
        "time": "v1.Time",
        "bytes": "[]uint8",
        "any": "interface {}",
    }
    return named.get(shape.name, shape.name)


def unknown_fields(shape: Shape, value: Any, path: str = "") -> list[str]:
    """Paths of fields the types do not have, in the object's order: "spec.template.spec.containers[0].imagee"."""
    if isinstance(value, dict) and shape.struct:
        found: list[str] = []
        for key, child in value.items():
            here = f"{path}.{key}" if path else key
            field = shape.fields.get(key)
            if field is None:
                found.append(here)
            elif isinstance(child, (dict, list)):
                found += unknown_fields(field, child, here)
        return found
    element = shape.element
    if element is None or element.kind == "scalar":
        return []
    if isinstance(value, dict):
        return [each for key, child in value.items() for each in unknown_fields(element, child, f"{path}.{key}")]
    if isinstance(value, list):
        return [each for at, child in enumerate(value) for each in unknown_fields(element, child, f"{path}[{at}]")]
    return []
