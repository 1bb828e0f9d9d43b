"""Request bodies -> rows of numbers, or exactly what is wrong with them.

Two forms of a row: {"features": [5.1, 3.5, 1.4, 0.2]} and the model's feature names, {"sepal_length": 5.1, ...}. A batch is a list of either:
{"features": [[...], ...]} or {"instances": [...]}. A number is a JSON number: no text, no boolean, no NaN (which is no JSON), and
within reach of what the model was trained on.

Right bodies take a short way; what that way stumbles over is looked at again, slowly, for the message.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import orjson
from starlette.types import Receive

from serving.model import Model, Rows
from serving.settings import MOST_ROWS

MOST_ERRORS = 10
Detail = dict[str, Any]
_NUMBERS = (float, int)


class Unprocessable(Exception):
    """422: `details` in FastAPI's own form, loc, msg and type."""

    def __init__(self, details: Sequence[Detail]) -> None:
        super().__init__(details[0]["msg"])
        self.details = list(details)


class TooLarge(Exception):
    """413."""


class Gone(Exception):
    """The client hung up before its request was whole."""


async def read(receive: Receive, most: int) -> bytes:
    """A request's body; TooLarge as soon as it is."""
    chunks: list[bytes] = []
    left = most
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunks.append(message.get("body", b""))
        left -= len(chunks[-1])
        if left < 0:
            raise TooLarge(f"the body has more than {most} bytes")
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def decode(body: bytes) -> Any:
    """JSON. NaN and Infinity are not JSON, whatever some encoders write."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"the body is not JSON: {error} (NaN and Infinity are not JSON either)"
        raise Unprocessable([_detail([], message, "json_invalid")]) from error


def one(body: bytes, model: Model) -> list[float]:
    """The row of POST /predict."""
    found = decode(body)
    if type(found) is not dict:
        raise Unprocessable([_detail([], f"give an object: {_forms(model)}", "object_type")])
    values = _values(found, model)
    if type(values) is list and len(values) == len(model.bounds) and _all_good(values, model):
        return values
    raise Unprocessable(list(islice(_row(found, model, []), MOST_ERRORS)))


def _all_good(values: Sequence[Any], model: Model) -> bool:
    pairs = zip(values, model.bounds, strict=True)
    return all(type(value) in _NUMBERS and low <= value <= high for value, (low, high) in pairs)


def batch(body: bytes, model: Model) -> Rows:
    """The rows of POST /predict/batch, in order."""
    found = decode(body)
    rows = found.get("features", found.get("instances")) if isinstance(found, dict) else found
    if not isinstance(rows, list) or not rows:
        raise Unprocessable([_detail(["features"], 'give {"features": [[...], ...]} with at least one row', "missing")])
    if len(rows) > MOST_ROWS:
        raise TooLarge(f"{len(rows)} rows; a batch has at most {MOST_ROWS}")
    array = _array(rows, model, booleans=b"true" in body or b"false" in body)
    if array is not None:
        return array
    details = (detail for number, row in enumerate(rows) for detail in _row(row, model, [number]))
    raise Unprocessable(list(islice(details, MOST_ERRORS)))


def _array(rows: Sequence[Any], model: Model, *, booleans: bool) -> Rows | None:
    """None where anything is not right. `booleans`: whether there may be some; to packing, True is 1."""
    kinds, width = set(map(type, rows)), len(model.names)
    if dict in kinds:
        rows = [_values(row, model) for row in rows]
        kinds = set(map(type, rows))
    if kinds != {list} or set(map(len, rows)) != {width}:
        return None
    flat = list(chain.from_iterable(rows))
    if booleans and bool in set(map(type, flat)):
        return None
    try:
        packed = struct.pack(f"={len(flat)}d", *flat)  # three times as fast as numpy.array of the same list
    except (struct.error, OverflowError):
        return None
    array = np.frombuffer(packed).reshape(-1, width)
    return array if bool(np.all((array >= model.low) & (array <= model.high))) else None


def _values(row: Any, model: Model) -> Any:
    if type(row) is not dict:
        return row
    return row["features"] if "features" in row else [row.get(name) for name in model.names]


def _forms(model: Model) -> str:
    example, _ = model.profile.golden[0]
    return f'{{"features": {list(example)}}} or {orjson.dumps(dict(zip(model.names, example, strict=True))).decode()}'


def _row(row: Any, model: Model, where: list[str | int]) -> Iterator[Detail]:
    """Everything wrong with one row."""
    if isinstance(row, Mapping) and "features" not in row:
        for number, name in enumerate(model.names):
            if name not in row:
                yield _detail([*where, name], f"{name} is missing", "missing")
            else:
                yield from _value(row[name], model, number, [*where, name])
        return
    values = row["features"] if isinstance(row, Mapping) else row
    where = [*where, "features"] if isinstance(row, Mapping) else where
    names = ", ".join(model.names)
    if not isinstance(values, list):
        yield _detail(where, f"give a list of {len(model.names)} numbers: {names}", "list_type")
    elif len(values) != len(model.names):
        yield _detail(where, f"{len(values)} values, but the model takes {len(model.names)}: {names}", "length")
    else:
        for number, value in enumerate(values):
            yield from _value(value, model, number, [*where, number])


def _value(value: Any, model: Model, number: int, where: list[str | int]) -> Iterator[Detail]:
    feature = model.profile.features[number]
    if type(value) not in _NUMBERS:
        yield _detail(where, f"{feature.name} must be a number, not {_short(value)}", "float_type")
    elif not math.isfinite(value):
        yield _detail(where, f"{feature.name} must be a finite number", "finite_number")
    elif not feature.low <= value <= feature.high:
        trained = f"the model was trained on {feature.min:g} to {feature.max:g}"
        message = f"{feature.name} must be from {feature.low:g} to {feature.high:g}, not {_short(value)}: {trained}"
        yield _detail(where, message, "range")


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 40 else text[:37] + "..."


def _detail(where: Sequence[str | int], message: str, kind: str) -> Detail:
    return {"loc": ["body", *where], "msg": message, "type": kind}
