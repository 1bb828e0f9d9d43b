"""Quantities: the same amount in two spellings is the same amount."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeflow_lite import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("1", 1),
        (8, 8),
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("1e3", 1000),
        ("16Gi", 16 * 2**30),
        ("1k", 1000),
        ("1M", 10**6),
        ("1E", 10**18),
        ("-3", -3),
        ("100n", Fraction(1, 10**7)),
    ],
)
def test_parse(text: str | int, number: int | Fraction) -> None:
    assert quantity.parse(text) == number


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "1.2.3", "eight", "1e", "NaN", "0x10"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.parse(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_milli_and_whole_agree(amount: int) -> None:
    assert quantity.equal(f"{amount * 1000}m", str(amount))


def test_equal_falls_back_to_text() -> None:
    assert quantity.equal("what", "what")
    assert not quantity.equal("what", "1")


def test_share_is_between_nothing_and_all() -> None:
    assert quantity.share("2", "8") == 0.25
    assert quantity.share("9", "8") == 1.0
    assert quantity.share("0", "0") == 1.0
