"""JSON patch and JSON merge patch."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.errors import BadRequest, Invalid, TooLarge
from kubesim.patch import json_patch, merge_patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab~/", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("ab~/", min_size=1, max_size=2), JSON, max_size=4)
REJECTED = "the server rejected our request due to an error in our request"


def test_operations_are_done_in_order() -> None:
    obj = {"spec": {"list": [1, 2, 3], "a": {"b": 1}}}
    patched = json_patch(
        obj,
        [
            {"op": "test", "path": "/spec/a/b", "value": 1},
            {"op": "replace", "path": "/spec/list/0", "value": 9},
            {"op": "add", "path": "/spec/list/-", "value": 4},
            {"op": "add", "path": "/spec/list/1", "value": 5},
            {"op": "remove", "path": "/spec/a/b"},
            {"op": "copy", "from": "/spec/list/0", "path": "/spec/a/c"},
            {"op": "move", "from": "/spec/list/4", "path": "/spec/last"},
            {"op": "add", "path": "/spec/a~1b~0c", "value": None},
        ],
    )
    assert patched == {"spec": {"list": [9, 5, 2, 3], "a": {"c": 9}, "last": 4, "a/b~c": None}}
    assert obj == {"spec": {"list": [1, 2, 3], "a": {"b": 1}}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/replicas", "value": 7},
        {"op": "test", "path": "/spec/replicas", "value": True},
        {"op": "remove", "path": "/spec/nope"},
        {"op": "replace", "path": "/spec/nope", "value": 1},
        {"op": "add", "path": "/nope/deep", "value": 1},
        {"op": "add", "path": "/spec/list/7", "value": 1},
        {"op": "remove", "path": "/spec/list/01"},
        {"op": "move", "from": "/spec", "path": "/spec/list/0"},
        {"op": "copy", "from": "/spec/nope", "path": "/spec/x"},
        {"op": "shout", "path": "/spec"},
        {"op": "add", "path": "spec", "value": 1},
        {"op": "add", "path": "/spec/x"},
        {"path": "/spec"},
        {"op": "replace", "path": "", "value": 3},
        {"op": "add", "path": "/spec/replicas/x", "value": 3},
    ],
)
def test_what_cannot_be_done_is_refused_as_a_whole(operation: dict[str, Any]) -> None:
    obj = {"spec": {"replicas": 1, "list": [1]}}
    with pytest.raises(Invalid) as refused:
        json_patch(obj, [{"op": "replace", "path": "/spec/replicas", "value": 1}, operation])
    assert refused.value.message == REJECTED
    assert obj == {"spec": {"replicas": 1, "list": [1]}}


def test_a_missing_field_is_null_to_a_test() -> None:
    assert json_patch({"a": 1}, [{"op": "test", "path": "/b", "value": None}]) == {"a": 1}


def test_what_is_no_patch_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        json_patch({}, {"op": "add"})
    with pytest.raises(BadRequest):
        json_patch({}, ["add"])
    with pytest.raises(TooLarge):
        json_patch({}, [{"op": "test", "path": "/a", "value": None}] * 10_001)
    with pytest.raises(BadRequest):
        merge_patch({}, [])


@given(OBJECTS, OBJECTS)
def test_a_patch_made_by_another_library_leads_where_it_says(before: dict[str, Any], after: dict[str, Any]) -> None:
    kept = copy.deepcopy(before)
    operations = jsonpatch.make_patch(before, after).patch
    assert json_patch(before, operations) == after
    assert before == kept


def test_merge_patch_follows_the_rfc() -> None:
    target = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"],
        "content": "same",
    }
    change = {"title": "Hello!", "phone": "+01", "author": {"familyName": None}, "tags": ["example"]}
    assert merge_patch(target, change) == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "same",
        "phone": "+01",
    }


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once(target: dict[str, Any], change: dict[str, Any]) -> None:
    kept = copy.deepcopy(target)
    once = merge_patch(target, change)
    assert merge_patch(once, change) == once
    assert target == kept


@given(OBJECTS)
def test_an_empty_merge_changes_nothing(target: dict[str, Any]) -> None:
    merged = merge_patch(target, {})
    assert merged == target
    assert merge_patch(target, dict.fromkeys(target)) == {}
