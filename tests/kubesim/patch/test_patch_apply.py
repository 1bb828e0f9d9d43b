"""Server-side apply."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.errors import BadRequest, Conflict, Invalid
from kubesim.patch import server_side_apply, track_update
from kubesim.resources import Object
from tests.kubesim.patch.models import LATER, NOW, config_map, deployment, entries, model, widget, widgets


def applied(
    live: Object | None,
    body: Object,
    manager: str = "one",
    *,
    force: bool = False,
    key: str = "v1/configmaps",
    now: str = NOW,
) -> Object:
    kind = widgets() if key == "widgets" else model(key)
    return server_side_apply(kind, live, body, manager=manager, now=now, force=force)


def test_an_applier_owns_what_it_states() -> None:
    obj = applied(None, config_map(a="1", b="1"))
    assert obj["data"] == {"a": "1", "b": "1"}
    assert entries(obj) == {("one", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}}}


def test_what_is_stated_no_more_goes() -> None:
    obj = applied(applied(None, config_map(a="1", b="1")), config_map(a="1"))
    assert obj["data"] == {"a": "1"}
    assert entries(obj) == {("one", "Apply"): {"f:data": {"f:a": {}}}}


def test_what_another_manager_states_too_stays() -> None:
    both = applied(applied(None, config_map(a="1", b="1")), config_map(b="1"), "two")
    left = applied(both, config_map(a="1"))
    assert left["data"] == {"a": "1", "b": "1"}
    assert entries(left) == {("one", "Apply"): {"f:data": {"f:a": {}}}, ("two", "Apply"): {"f:data": {"f:b": {}}}}


def test_another_value_is_a_conflict() -> None:
    obj = applied(None, config_map(a="1"))
    with pytest.raises(Conflict) as refused:
        applied(obj, config_map(a="2"), "two")
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert refused.value.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
    }


def test_several_conflicts_are_listed_by_manager() -> None:
    obj = applied(applied(None, config_map(a="1", b="1")), config_map(c="1"), "three")
    with pytest.raises(Conflict) as refused:
        applied(obj, config_map(a="2", b="2", c="2"), "two")
    assert refused.value.message == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "three":\n- .data.c'
    )


def test_a_conflict_with_an_ordinary_writer_says_when_it_wrote() -> None:
    obj = config_map(a="1")
    track_update(model("v1/configmaps"), None, obj, manager="kubectl-edit", now=NOW)
    with pytest.raises(Conflict, match=f'conflict with "kubectl-edit" using v1 at {NOW}: .data.a'):
        applied(obj, config_map(a="2"))


def test_force_takes_over() -> None:
    obj = applied(applied(None, config_map(a="1")), config_map(a="2"), "two", force=True)
    assert obj["data"] == {"a": "2"}
    assert entries(obj) == {("two", "Apply"): {"f:data": {"f:a": {}}}}


def test_the_same_value_is_shared() -> None:
    obj = applied(applied(None, config_map(a="1")), config_map(a="1"), "two")
    assert entries(obj) == {("one", "Apply"): {"f:data": {"f:a": {}}}, ("two", "Apply"): {"f:data": {"f:a": {}}}}


def test_applying_again_changes_nothing() -> None:
    obj = applied(None, config_map(a="1"))
    assert applied(obj, config_map(a="1"), now=LATER) == obj


def test_an_object_nobody_tracked_is_managed_by_what_came_before() -> None:
    obj = applied(config_map(a="1", b="1"), config_map(a="1"))
    assert obj["data"] == {"a": "1", "b": "1"}
    assert entries(obj)["before-first-apply", "Update"]["f:data"] == {".": {}, "f:a": {}, "f:b": {}}


def test_items_are_owned_by_key() -> None:
    key = "apps/v1/deployments"
    first = applied(None, deployment({"name": "a", "image": "x"}, {"name": "b", "image": "y"}), key=key)
    side = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}}
    side["spec"] = {"template": {"spec": {"containers": [{"name": "c", "image": "z"}]}}}
    second = applied(first, side, "two", key=key)
    assert [each["name"] for each in second["spec"]["template"]["spec"]["containers"]] == ["a", "b", "c"]
    third = applied(second, deployment({"name": "b", "image": "y"}), key=key)
    assert [each["name"] for each in third["spec"]["template"]["spec"]["containers"]] == ["b", "c"]


def test_a_port_without_protocol_is_the_one_with_tcp() -> None:
    key = "apps/v1/deployments"
    first = applied(None, deployment({"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}), key=key)
    second = applied(first, deployment({"name": "a", "ports": [{"containerPort": 80, "name": "http"}]}), key=key)
    ports = second["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == [{"containerPort": 80, "name": "http"}] or ports == [
        {"containerPort": 80, "protocol": "TCP", "name": "http"}
    ]


def test_atomic_parts_are_one_field() -> None:
    first = applied(None, widget(whole={"a": "1"}, plain=["x"]), key="widgets")
    with pytest.raises(Conflict, match=r"\.spec\.whole"):
        applied(first, widget(whole={"b": "1"}), "two", key="widgets")
    second = applied(first, widget(whole={"b": "1"}, plain=["y"]), key="widgets")
    assert second["spec"] == {"whole": {"b": "1"}, "plain": ["y"]}


def test_set_items_come_and_go_alone() -> None:
    first = applied(None, widget(tags=["a", "b"]), key="widgets")
    second = applied(first, widget(tags=["c"]), "two", key="widgets")
    third = applied(second, widget(tags=["b"]), key="widgets")
    assert third["spec"]["tags"] == ["b", "c"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (widget(parts=[{"value": "x"}]), BadRequest),
        (widget(parts=[{"name": "x"}, {"name": "x"}]), BadRequest),
    ],
)
def test_items_without_or_with_doubled_keys_are_refused(body: Object, error: type[Exception]) -> None:
    live = applied(None, widget(parts=[{"name": "y"}]), key="widgets")
    with pytest.raises(error):
        applied(live, body, key="widgets")
    with pytest.raises(error):
        applied(None, body, key="widgets")


def test_a_manager_must_be_named_and_managed_fields_may_not_be_sent() -> None:
    with pytest.raises(Invalid) as refused:
        applied(None, config_map(a="1"), "")
    assert (
        refused.value.message
        == 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    body = config_map(a="1")
    body["metadata"]["managedFields"] = []
    with pytest.raises(BadRequest, match=r"metadata\.managedFields must be nil"):
        applied(None, body)


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), DATA), min_size=1, max_size=6))
def test_the_object_is_always_what_its_appliers_state(steps: list[tuple[str, dict[str, str]]]) -> None:
    """Each key has the value of whoever stated it last and still states it; what nobody states is gone."""
    live: Any = None
    stated: dict[str, dict[str, str]] = {}
    for manager, data in steps:
        before = copy.deepcopy(live)
        made = applied(live, config_map(**data), manager, force=True)
        assert live == before
        live = made
        for other in stated.values():
            for key in [key for key in other if key in data and other[key] != data[key]]:
                del other[key]
        stated[manager] = dict(data)
        wanted = {key: value for each in stated.values() for key, value in each.items()}
        assert (live.get("data") or {}) == wanted
        owned = {
            name: {key[2:] for key in each.get("f:data", {}) if key != "."} for (name, _), each in entries(live).items()
        }
        assert owned == {name: set(each) for name, each in stated.items() if each} | {
            name: set() for name in owned if not stated.get(name)
        }
