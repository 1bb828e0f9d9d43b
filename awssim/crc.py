"""CRC-32C and CRC-64/NVME fast enough for large bodies, with numpy where it is installed.

A CRC is linear: a block is cut into lanes that are folded side by side, a table look-up per byte position for all lanes at once, and the
lanes' results are joined by the operator that appends zero bytes. Python's zlib knows neither polynomial.
"""

import functools
from typing import Any

_CRC32C = (0x82F63B78, 32)
_CRC64NVME = (0x9A6C9329AC4BC9B5, 64)
_LANES = 2048
_SMALL = 64 * 1024

Parameters = tuple[int, int]


class Crc:
    """A running CRC, reflected, with all bits set before and after."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._ones = (1 << parameters[1]) - 1
        self._state = self._ones

    def update(self, data: bytes, /) -> None:
        self._state = _fold(self._parameters, self._state, data)

    def digest(self) -> bytes:
        return (self._state ^ self._ones).to_bytes(self._parameters[1] // 8, "big")


def crc32c() -> Crc:
    return Crc(_CRC32C)


def crc64nvme() -> Crc:
    return Crc(_CRC64NVME)


@functools.lru_cache
def _table(parameters: Parameters) -> tuple[int, ...]:
    polynomial, _ = parameters
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _fold(parameters: Parameters, state: int, data: bytes) -> int:
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


def _fold_lanes(parameters: Parameters, state: int, data: bytes, numpy: Any) -> int:
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
