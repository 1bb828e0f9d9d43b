"""Strategic merge patch: what a real cluster answered, and the directives."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.errors import BadRequest, Invalid
from kubesim.patch import strategic_merge
from tests.kubesim.patch.models import deployment, model

MAIN = {
    "name": "main",
    "image": "a:1",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "ports": [{"containerPort": 80}],
}
DEPLOYMENTS = "apps/v1/deployments"


def containers(change: list[Any], *before: dict[str, Any], **extra: Any) -> list[dict[str, Any]]:
    patch = {"spec": {"template": {"spec": {"containers": change, **extra}}}}
    patched = strategic_merge(model(DEPLOYMENTS), deployment(*(before or (MAIN,))), patch)
    return patched["spec"]["template"]["spec"]["containers"]  # type: ignore[no-any-return]


def test_items_merge_by_key_and_keep_what_is_not_named() -> None:
    found = containers([{"name": "main", "env": [{"name": "B", "value": "9"}, {"name": "C", "value": "3"}]}])
    assert found == [
        {**MAIN, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "9"}, {"name": "C", "value": "3"}]}
    ]


def test_a_new_item_comes_first() -> None:
    assert [each["name"] for each in containers([{"name": "side", "image": "b"}])] == ["side", "main"]


def test_an_item_is_deleted() -> None:
    assert containers([{"name": "side", "$patch": "delete"}], MAIN, {"name": "side"}) == [MAIN]


def test_the_stated_order_is_taken_over() -> None:
    change = [
        {
            "name": "main",
            "$setElementOrder/env": [{"name": "C"}, {"name": "A"}],
            "env": [{"name": "B", "$patch": "delete"}],
        }
    ]
    before = {**MAIN, "env": [{"name": "A"}, {"name": "B"}, {"name": "C"}]}
    order = {"$setElementOrder/containers": [{"name": "main"}]}
    assert containers(change, before, **order)[0]["env"] == [{"name": "C"}, {"name": "A"}]


def test_an_order_alone_sorts_and_keeps_what_only_the_server_has() -> None:
    patch = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}}}}
    before = deployment({"name": "a"}, {"name": "b"}, {"name": "c"})
    patched = strategic_merge(model(DEPLOYMENTS), before, patch)
    names = [each["name"] for each in patched["spec"]["template"]["spec"]["containers"]]
    assert names == ["b", "c", "a"]


def test_a_patch_outside_its_order_is_refused() -> None:
    with pytest.raises(Invalid):
        containers([{"name": "x"}], MAIN, **{"$setElementOrder/containers": [{"name": "main"}]})


def test_retained_keys_are_all_that_stays() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    patched = strategic_merge(model(DEPLOYMENTS), deployment(MAIN), patch)
    assert patched["spec"]["strategy"] == {"type": "Recreate"}


def test_a_map_is_replaced() -> None:
    patch = {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}
    patched = strategic_merge(model(DEPLOYMENTS), deployment(MAIN), patch)
    assert patched["spec"]["strategy"] == {"type": "Recreate"}


def test_a_list_is_replaced() -> None:
    assert containers([{"$patch": "replace"}, {"name": "only"}]) == [{"name": "only"}]


def test_a_map_is_emptied() -> None:
    patched = strategic_merge(model(DEPLOYMENTS), deployment(MAIN), {"spec": {"strategy": {"$patch": "delete"}}})
    assert patched["spec"]["strategy"] == {}


def test_null_removes() -> None:
    patched = strategic_merge(
        model(DEPLOYMENTS), deployment(MAIN), {"spec": {"replicas": None, "minReadySeconds": None}}
    )
    assert "replicas" not in patched["spec"]
    assert "minReadySeconds" not in patched["spec"]


def test_atomic_lists_are_replaced() -> None:
    before = {**MAIN, "command": ["a", "b"]}
    assert containers([{"name": "main", "command": ["c"]}], before)[0]["command"] == ["c"]


def test_values_of_a_primitive_list_are_merged_and_deleted() -> None:
    kind = model("v1/configmaps")
    obj = {"metadata": {"name": "c", "finalizers": ["x/a", "x/b"]}}
    assert strategic_merge(kind, obj, {"metadata": {"finalizers": ["x/c"]}})["metadata"]["finalizers"] == [
        "x/c",
        "x/a",
        "x/b",
    ]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}
    assert strategic_merge(kind, obj, patch)["metadata"]["finalizers"] == ["x/b"]


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(Invalid, match="does not contain declared merge key: name"):
        containers([{"image": "x"}])


@pytest.mark.parametrize(
    "patch",
    [
        [],
        {"spec": {"$patch": "explode"}},
        {"spec": {"strategy": {"$retainKeys": "type"}}},
        {"spec": {"strategy": {"$retainKeys": [], "type": "x"}}},
    ],
)
def test_malformed_patches_are_bad_requests(patch: object) -> None:
    with pytest.raises(BadRequest):
        strategic_merge(model(DEPLOYMENTS), deployment(MAIN), patch)


def test_the_arguments_stay_as_they_were() -> None:
    before, patch = deployment(MAIN), {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "b"}]}}}}
    strategic_merge(model(DEPLOYMENTS), before, patch)
    assert before == deployment(MAIN)
    assert patch == {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "b"}]}}}}
