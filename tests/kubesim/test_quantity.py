"""Quantities in and out."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("500m", Fraction(1, 2)),
        ("1Ki", 1024),
        ("1.5Gi", 3 * 2**29),
        ("2e3", 2000),
        ("1E", 10**18),
        ("-1k", -1000),
        ("1n", Fraction(1, 10**9)),
    ],
)
def test_parse(text: str, value: Fraction | int) -> None:
    assert quantity.parse(text) == value


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1 Gi", "1GiB", "Gi", "--1", "1e", "0x10", "1" * 70])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1000Mi", "1000Mi"),
        ("1000000", "1M"),
        ("1500", "1500"),
        ("0", "0"),
        ("1e3", "1e3"),
        ("0.5Gi", "512Mi"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@given(st.integers(min_value=-(10**12), max_value=10**12), st.sampled_from(["", "m", "k", "Ki", "Gi", "e3"]))
def test_a_canonical_form_is_worth_the_same_and_is_its_own(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    canonical = quantity.canonical(text)
    assert quantity.parse(canonical) == quantity.parse(text)
    assert quantity.canonical(canonical) == canonical
