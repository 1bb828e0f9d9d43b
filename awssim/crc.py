"""CRC-32, CRC-32C and CRC-64/NVME: by anycrc, which uses the processor's carry-less multiplication, else fast enough with numpy.

AWS's command line 2 sends a CRC-64/NVME with every upload. One gigabyte takes anycrc 0.07 s of processor time, numpy 13 s, plain Python
minutes; zlib knows CRC-32 only, and takes 0.5 s. Without anycrc: a CRC is linear, so a block is cut into lanes that are folded side by
side, a table look-up per byte position for all lanes at once, and the lanes' results are joined by the operator that appends zero bytes.
"""

import contextlib
import functools
import importlib
import zlib
from typing import Any, Protocol

from awssim.pipe import Piece

anycrc: Any = None
with contextlib.suppress(ImportError):  # there is not a wheel for every platform
    anycrc = importlib.import_module("anycrc")

CRC32C = (0x82F63B78, 32)
CRC64NVME = (0x9A6C9329AC4BC9B5, 64)
_LANES = 2048
_SMALL = 64 * 1024

Parameters = tuple[int, int]


class Running(Protocol):
    """A CRC under way."""

    def update(self, data: Piece, /) -> None: ...
    def digest(self) -> bytes: ...


class Native:
    """A running CRC of anycrc's."""

    def __init__(self, model: str, size: int) -> None:
        self._model = _model(model)
        self._size = size
        self._value: int | None = None

    def update(self, data: Piece, /) -> None:
        self._value = self._model.calc(data, self._value) if self._value is not None else self._model.calc(data)

    def digest(self) -> bytes:
        value = self._model.calc(b"") if self._value is None else self._value
        return int(value).to_bytes(self._size, "big")


@functools.lru_cache
def _model(name: str) -> Any:
    return anycrc.Model(name)


class Zlib:
    """A running CRC-32 of zlib's."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Piece, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class Crc:
    """A running CRC, reflected, with all bits set before and after."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._ones = (1 << parameters[1]) - 1
        self._state = self._ones

    def update(self, data: Piece, /) -> None:
        self._state = _fold(self._parameters, self._state, data)

    def digest(self) -> bytes:
        return (self._state ^ self._ones).to_bytes(self._parameters[1] // 8, "big")


def crc32() -> Running:
    return Native("CRC32", 4) if anycrc else Zlib()


def crc32c() -> Running:
    return Native("CRC32C", 4) if anycrc else Crc(CRC32C)


def crc64nvme() -> Running:
    return Native("CRC64-NVME", 8) if anycrc else Crc(CRC64NVME)


@functools.lru_cache
def _table(parameters: Parameters) -> tuple[int, ...]:
    polynomial, _ = parameters
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _fold(parameters: Parameters, state: int, data: Piece) -> int:
    if len(data) >= _SMALL:
        try:
            import numpy
        except ImportError:
            pass
        else:
            return _fold_lanes(parameters, state, data, numpy)
    table = _table(parameters)
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def _fold_lanes(parameters: Parameters, state: int, data: Piece, numpy: Any) -> int:
    length = len(data) // _LANES
    kind = numpy.uint32 if parameters[1] == 32 else numpy.uint64
    table = numpy.array(_table(parameters), dtype=kind)
    columns = numpy.ascontiguousarray(
        numpy.frombuffer(data, dtype=numpy.uint8, count=length * _LANES).reshape(_LANES, length).T
    )
    lanes = numpy.zeros(_LANES, dtype=kind)
    lanes[0] = state
    low, eight = kind(0xFF), kind(8)
    for column in columns:
        lanes = table[((lanes & low) ^ column).astype(numpy.intp)] ^ (lanes >> eight)
    append = _zeros_operator(parameters, length)
    joined = 0
    for lane in lanes.tolist():
        joined = _apply(append, joined) ^ lane
    return _fold(parameters, joined, data[length * _LANES :])


def _apply(operator: tuple[tuple[int, ...], ...], state: int) -> int:
    result = 0
    for table in operator:
        result ^= table[state & 0xFF]
        state >>= 8
    return result


@functools.lru_cache(maxsize=64)
def _zeros_operator(parameters: Parameters, count: int) -> tuple[tuple[int, ...], ...]:
    """What ``count`` zero bytes do to a state, as one table per byte of it."""
    columns = [_after_zeros(parameters, 1 << bit, count) for bit in range(parameters[1])]
    tables = []
    for start in range(0, parameters[1], 8):
        table = [0] * 256
        for value in range(256):
            for bit in range(8):
                if value >> bit & 1:
                    table[value] ^= columns[start + bit]
        tables.append(tuple(table))
    return tuple(tables)


def _after_zeros(parameters: Parameters, state: int, count: int) -> int:
    table = _table(parameters)
    for _ in range(count):
        state = table[state & 0xFF] ^ (state >> 8)
    return state
