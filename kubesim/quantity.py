"""Kubernetes quantities: "500m", "1.5Gi", "2e3". Exact arithmetic with Fraction; canonical text as resource.Quantity prints it."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Literal

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
LARGEST = Fraction(2**63 - 1)
_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE]|)|[eE]([+-]?\d{1,3}))")


def parse(text: str | float) -> Fraction:
    """The value, which Kubernetes caps at 64 bits; raises ValueError for what it refuses. Numbers are taken as they print."""
    number, exponent_base, exponent = _parts(str(text))
    return max(-LARGEST, min(LARGEST, number * Fraction(exponent_base) ** exponent))


def valid(text: object) -> bool:
    return (
        isinstance(text, (str, int, float)) and not isinstance(text, bool) and _PATTERN.fullmatch(str(text)) is not None
    )


def _parts(text: str) -> tuple[Fraction, int, int]:
    match = _PATTERN.fullmatch(text)
    if match is None or len(text) > 64:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, binary, decimal, exponent = match.groups()
    if binary:
        return Fraction(Decimal(number)), 1024, _BINARY[binary]
    if exponent is not None:
        return Fraction(Decimal(number)), 10, int(exponent)
    return Fraction(Decimal(number)), 10, _DECIMAL[decimal]


def style(text: str | float) -> Format:
    """Which family of suffixes `text` is written in; a canonical form keeps it."""
    match = _PATTERN.fullmatch(str(text))
    if match and match.group(2):
        return "BinarySI"
    return "DecimalExponent" if match and match.group(4) is not None else "DecimalSI"


def format(value: Fraction | int, like: str | float = "") -> str:
    """`value` as Kubernetes prints it, in the family of suffixes of `like`."""
    value = Fraction(value)
    family = style(like) if like != "" else "DecimalSI"
    if family == "BinarySI" and (abs(value) >= 1024 or value == 0) and value.denominator == 1:
        return _binary(value)
    return _decimal(value, exponent=family == "DecimalExponent")


def canonical(text: str | float) -> str:
    """`text` in the form the API server answers with: "1000m" is "1", "0.5" is "500m"."""
    return format(parse(text), text)


def _binary(value: Fraction) -> str:
    number, power = value.numerator, 0
    while number and number % 1024 == 0 and power < 6:
        number, power = number // 1024, power + 1
    return f"{number}{next((suffix for suffix, at in _BINARY.items() if at == power), '')}"


def _decimal(value: Fraction, *, exponent: bool = False) -> str:
    """The largest suffix that leaves an integer; what is finer than a nano is rounded up, away from zero."""
    nanos = value * 10**9
    number = -(-abs(nanos.numerator) // nanos.denominator) * (1 if value >= 0 else -1)
    if number == 0:
        return "0"
    power = -9
    while number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return f"{number}{next(suffix for suffix, at in _DECIMAL.items() if at == power)}"
