"""managedFields of ordinary writes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubesim.patch import fieldset, ownership, same_but_for_times, track_update
from kubesim.resources import Object
from tests.kubesim.patch.models import LATER, NOW, config_map, entries, model, widget, widgets


def written(
    before: Object | None,
    after: Object,
    manager: str = "me",
    now: str = NOW,
    subresource: str = "",
    key: str = "v1/configmaps",
) -> Object:
    obj = copy.deepcopy(after)
    if before is not None and "managedFields" in before["metadata"]:
        obj["metadata"]["managedFields"] = copy.deepcopy(before["metadata"]["managedFields"])
    kind = widgets() if key == "widgets" else model(key)
    track_update(kind, before, obj, manager=manager, now=now, subresource=subresource)
    return obj


def test_a_creator_owns_what_was_set() -> None:
    obj = written(None, config_map(a="1"))
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "me",
            "operation": "Update",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}},
        }
    ]


def test_a_writer_takes_over_what_it_changes_only() -> None:
    first = written(None, config_map(a="1", b="1"))
    second = written(first, config_map(a="1", b="2", c="3"), "you", LATER)
    assert entries(second) == {
        ("me", "Update"): {"f:data": {".": {}, "f:a": {}}},
        ("you", "Update"): {"f:data": {"f:b": {}, "f:c": {}}},
    }


def test_what_is_removed_is_nobodys_and_moves_no_time() -> None:
    first = written(None, config_map(a="1", b="1"))
    second = written(first, config_map(a="1"), "you", LATER)
    assert entries(second) == {("me", "Update"): {"f:data": {".": {}, "f:a": {}}}}
    assert second["metadata"]["managedFields"][0]["time"] == NOW


def test_writing_the_same_changes_nothing() -> None:
    first = written(None, config_map(a="1"))
    second = written(first, config_map(a="1"), "you", LATER)
    assert second == first
    assert same_but_for_times(first, second)


def test_a_subresource_is_another_entry() -> None:
    first = written(None, widget(size=1), key="widgets")
    with_status = {**widget(size=1), "status": {"ready": True}}
    second = written(first, with_status, "me", LATER, "status", key="widgets")
    assert [(each.get("subresource"), each["fieldsV1"]) for each in second["metadata"]["managedFields"]] == [
        (None, {"f:spec": {".": {}, "f:size": {}}}),
        ("status", {"f:status": {".": {}, "f:ready": {}}}),
    ]


def test_status_is_not_owned_through_the_object_itself() -> None:
    first = written(None, {**widget(size=1), "status": {"ready": True}}, key="widgets")
    assert entries(first) == {("me", "Update"): {"f:spec": {".": {}, "f:size": {}}}}


def test_a_client_may_drop_everything() -> None:
    first = written(None, config_map(a="1"))
    after = config_map(a="2")
    after["metadata"]["managedFields"] = [{}]
    track_update(model("v1/configmaps"), first, after, manager="you", now=LATER)
    assert entries(after) == {("you", "Update"): {"f:data": {"f:a": {}}}}


def test_map_lists_are_followed_by_key_and_sets_by_value() -> None:
    obj = written(
        None, widget(tags=["x"], parts=[{"name": "a", "value": "1"}], plain=["p"], whole={"k": "v"}), key="widgets"
    )
    assert entries(obj)["me", "Update"]["f:spec"] == {
        ".": {},
        "f:tags": {".": {}, 'v:"x"': {}},
        "f:parts": {".": {}, 'k:{"name":"a"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:plain": {},
        "f:whole": {},
    }


def test_entries_do_not_grow_for_ever() -> None:
    obj = written(None, config_map(k="0"))
    for number in range(1, 15):
        data = {f"k{each}": "v" for each in range(number + 1)}
        obj = written(obj, config_map(k="0", **data), f"m{number}", f"2026-11-22T02:23:{number:02d}Z")
    managers = [each["manager"] for each in obj["metadata"]["managedFields"]]
    assert len(managers) <= 10
    assert "ancient-changes" in managers
    assert managers[-1] == "m14"


ELEMENTS = st.sampled_from(["f:a", "f:b", "f:c", 'k:{"x":1}'])
SETS: Any = st.recursive(st.just({}), lambda inner: st.dictionaries(ELEMENTS, inner, min_size=1, max_size=3))


def members(tree: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths in a set, spelled out."""
    found = set()
    for key, node in tree.items():
        if key != ".":
            found |= ({(*path, key)} if fieldset.is_member(node) else set()) | members(node, (*path, key))
    return found


@given(SETS, SETS)
def test_the_algebra_is_that_of_sets(first: dict[str, Any], second: dict[str, Any]) -> None:
    one, other = members(first), members(second)
    assert members(fieldset.union(first, second)) == one | other
    assert members(fieldset.difference(first, second)) == one - other
    assert members(fieldset.intersection(first, second)) == one & other


VALUES = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given(VALUES, VALUES)
def test_a_comparison_tells_exactly_what_changed(old: dict[str, str], new: dict[str, str]) -> None:
    found = ownership.compare(model("v1/configmaps").shape, config_map(**old), config_map(**new))
    below = [{path[1] for path in members(part) if len(path) == 2} for part in found]
    expected = [
        {f"f:{key}" for key in old if key not in new},
        {f"f:{key}" for key in old if key in new and old[key] != new[key]},
        {f"f:{key}" for key in new if key not in old},
    ]
    if old and new:
        assert below == expected
