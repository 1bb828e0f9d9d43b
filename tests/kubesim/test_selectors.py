"""Label and field selectors."""

from __future__ import annotations

import pytest

from kubesim import selectors
from kubesim.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=1", {"a": "1"}, True),
        ("a==1,b", {"a": "1"}, False),
        ("a!=1", {}, True),
        ("a!=1", {"a": "1"}, False),
        ("a in (1, 2)", {"a": "2"}, True),
        ("a in (1,2)", {}, False),
        ("a notin (1,2)", {}, True),
        ("!a", {"b": "1"}, True),
        ("a", {"a": ""}, True),
        ("a=", {"a": ""}, True),
        ("a>3,a<5", {"a": "4"}, True),
        ("a>3", {"a": "x"}, False),
        ("example.com/a=b", {"example.com/a": "b"}, True),
    ],
)
def test_labels(text: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.parse_labels(text).matches(labels) is matches


@pytest.mark.parametrize(
    "text", ["a===b", "=b", "a in", "a in (1", "a b", ",", "a=b,,c", "a in 1", "a>x", "a=-b-", "(a)"]
)
def test_bad_labels(text: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        selectors.parse_labels(text)


def test_a_selector_of_a_spec() -> None:
    selector = selectors.from_label_selector(
        {
            "matchLabels": {"a": "1"},
            "matchExpressions": [
                {"key": "b", "operator": "NotIn", "values": ["2"]},
                {"key": "c", "operator": "Exists"},
            ],
        }
    )
    assert selector.matches({"a": "1", "c": ""})
    assert not selector.matches({"a": "1", "b": "2", "c": ""})
    assert not selectors.from_label_selector(None).matches({})
    assert selectors.from_label_selector({}).matches({"any": "thing"})


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("status.phase=Running", True),
        ("status.phase!=Running", False),
        ("status.phase==Running,spec.on=true", True),
        ("spec.none=", True),
    ],
)
def test_fields(text: str, matches: bool) -> None:
    assert selectors.parse_fields(text).matches({"status": {"phase": "Running"}, "spec": {"on": True}}) is matches


def test_bad_fields() -> None:
    with pytest.raises(BadRequest, match="invalid field selector"):
        selectors.parse_fields("nonsense")
