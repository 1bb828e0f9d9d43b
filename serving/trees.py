"""The trees inside an ONNX file, read without the `onnx` package, which would cost more memory than all the rest of this program.

An ONNX file is a protocol buffer; of its hundred messages five matter here. The caller has loaded the same bytes in ONNX Runtime before, so
what is read is well-formed; whether it means what this module takes it to mean is for `serving.forest` to try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Value: TypeAlias = "int | memoryview"

# Field numbers of onnx.proto: ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto.
_GRAPH, _NODE, _OP_TYPE, _ATTRIBUTE = 7, 1, 4, 5
_NAME, _TENSOR, _INTS, _RAW_DATA = 1, 5, 8, 9
_OPERATORS = ["Cast", "Cast", "TreeEnsemble", "Div", "ArgMax"]


@dataclass(frozen=True)
class Trees:
    """A forest as ONNX's TreeEnsemble has it: flat arrays. Node i asks `value[feature[i]] <= split[i]`; a child is a leaf where its flag is set."""

    roots: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    split: npt.NDArray[np.float64]
    children: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    leaves: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
    target: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]


def read(model: bytes) -> Trees | None:
    """None for a graph other than the one the training writes."""
    (graph,) = (value for number, value in _fields(memoryview(model)) if number == _GRAPH)
    nodes = [_collect(value) for number, value in _fields(graph) if number == _NODE]
    if [bytes(_bytes(node[_OP_TYPE][0])).decode() for node in nodes] != _OPERATORS:
        return None
    found = dict(_attribute(_bytes(value)) for value in nodes[2][_ATTRIBUTE])
    return Trees(
        roots=_integers(found["tree_roots"]),
        feature=_integers(found["nodes_featureids"]),
        split=_doubles(found["nodes_splits"]),
        children=(_integers(found["nodes_truenodeids"]), _integers(found["nodes_falsenodeids"])),
        leaves=(_integers(found["nodes_trueleafs"]) != 0, _integers(found["nodes_falseleafs"]) != 0),
        target=_integers(found["leaf_targetids"]),
        weight=_doubles(found["leaf_weights"]),
    )


Message: TypeAlias = Mapping[int, list[Value]]


def _attribute(body: memoryview) -> tuple[str, Message]:
    fields = _collect(body)
    return bytes(_bytes(fields[_NAME][0])).decode(), fields


def _integers(attribute: Message) -> npt.NDArray[np.int64]:
    return np.array([value for value in attribute[_INTS] if isinstance(value, int)], dtype=np.int64)


def _doubles(attribute: Message) -> npt.NDArray[np.float64]:
    tensor = _collect(attribute[_TENSOR][0])
    return np.frombuffer(_bytes(tensor[_RAW_DATA][0]), dtype="<f8")


def _collect(body: Value) -> Message:
    found: dict[int, list[Value]] = {}
    for number, value in _fields(body):
        found.setdefault(number, []).append(value)
    return found


def _fields(body: Value) -> Iterator[tuple[int, Value]]:
    """The fields of one message, in order: numbers of varints and bytes of everything else."""
    body, at = _bytes(body), 0
    while at < len(body):
        key, at = _varint(body, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(body, at)
            yield key >> 3, value
            continue
        size, at = _varint(body, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield key >> 3, body[at : at + size]
        at += size


def _varint(body: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _bytes(value: Value) -> memoryview:
    assert isinstance(value, memoryview)
    return value
