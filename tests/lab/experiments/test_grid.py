"""Which points a sweep tries, and what it is called."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.experiments import grid


def test_every_combination_the_last_grid_fastest() -> None:
    found = grid.points(["n_estimators=50,100", "max_depth=5,none"])
    assert [(one.n_estimators, one.max_depth) for one in found] == [(50, 5), (50, None), (100, 5), (100, None)]
    assert grid.varied(found) == ["n_estimators", "max_depth"]


def test_a_point_that_is_named_twice_is_tried_once() -> None:
    assert len(grid.points(["n-estimators=50,50", "max_depth=none,NONE"])) == 1


def test_the_same_points_and_data_have_the_same_name_in_any_order() -> None:
    one, same = grid.points(["n_estimators=50,100"]), grid.points(["n_estimators=100,50"])
    assert grid.name(one, data="iris") == grid.name(same, data="iris")
    assert grid.name(one, data="iris") != grid.name(one, data="another")
    assert grid.checked_name(grid.name(one, data="iris")).startswith("sweep-")


@pytest.mark.parametrize(
    ("grids", "words"),
    [
        ([], "at least one --grid"),
        (["trees=1,2"], "'trees=1,2' is not NAME=VALUE,VALUE; names are n_estimators, max_depth, seed"),
        (["n_estimators"], "is not NAME=VALUE,VALUE"),
        (["n_estimators=1", "n-estimators=2"], "--grid n_estimators is given twice"),
        (["n_estimators=10,"], "--grid: --n-estimators: '' is not a whole number from 1 to 5000"),
        (["max_depth=5,deep"], "--grid: --max-depth: 'deep' is not a whole number"),
        (["seed=" + ",".join(map(str, range(201)))], "this grid has 201 points; 200 are the most"),
    ],
)
def test_what_cannot_be_tried_is_told(grids: list[str], words: str) -> None:
    with pytest.raises(LabError) as refused:
        grid.points(grids)
    assert words in refused.value.message


@pytest.mark.parametrize("text", ["", "A", "a_b", "-a", "a" * 41, "a'b"])
def test_a_name_must_be_a_label(text: str) -> None:
    with pytest.raises(LabError, match="is not 1 to 40 lower-case letters"):
        grid.checked_name(text)
