"""Durations and amounts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubeflow_lite.web import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-5, "0s"), (59.9, "59s"), (60, "1m"), (192, "3m12s"), (7500, "2h5m"), (90061, "1d1h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_age() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert words.age("2026-11-22T11:59:00Z", now) == "1m"
    assert words.age("2026-11-22T20:59:00+09:00", now) == "1m"
    assert words.age(None, now) == "–"


@pytest.mark.parametrize(
    ("amount", "text"), [("16Gi", "16 Gi"), ("1536Mi", "1.5 Gi"), ("100M", "95.4 Mi"), ("0", "0"), ("1000", "1000")]
)
def test_memory(amount: str, text: str) -> None:
    assert words.memory(amount) == text


@pytest.mark.parametrize(("amount", "text"), [("8", "8"), ("1500m", "1.5"), ("0", "0"), ("250m", "0.25")])
def test_cores(amount: str, text: str) -> None:
    assert words.cores(amount) == text
