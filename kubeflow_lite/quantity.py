"""Kubernetes quantities ("500m", "16Gi", "1e3") as exact numbers, to compare and to show them."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{suffix: Fraction(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", start=1)},
    **{suffix + "i": Fraction(2 ** (10 * power)) for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Fraction:
    """The number a quantity stands for; ValueError for anything else."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"not a quantity: {text!r}")
    number, exponent, suffix = match.groups()
    return Fraction(number + (exponent or "")) * _SUFFIXES[suffix or ""]


def equal(left: str | int | float, right: str | int | float) -> bool:
    """Whether two quantities are the same amount: the API server writes "1000m" back as "1"."""
    try:
        return parse(left) == parse(right)
    except ValueError:
        return left == right


def share(used: str | int | float, hard: str | int | float) -> float:
    """Used as a part of hard, between 0 and 1 (1 where hard is nothing)."""
    limit = parse(hard)
    return min(1.0, float(parse(used) / limit)) if limit else 1.0
