"""The command line."""

from __future__ import annotations

import pytest

from training.arguments import Parameters, parse, point
from training.errors import BadArguments


def test_the_courses_own_command() -> None:
    found = parse(["--n-estimators", "200", "--max-depth", "20", "--run-name", "experiment-001"], job="iris-training")
    assert found.parameters == Parameters(n_estimators=200, max_depth=20, seed=42, test_size=0.2, folds=5)
    assert (found.run_name, found.experiment, found.model, found.job) == (
        "experiment-001",
        "iris",
        "iris",
        "iris-training",
    )


def test_max_depth_none_means_no_limit() -> None:
    assert parse(["--max-depth", "none"]).parameters.max_depth is None


def test_tags_may_hold_equal_signs() -> None:
    assert parse(["--tag", "sweep=a=b"]).tags == (("sweep", "a=b"),)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--n-estimators", "0"], "'0' is not a whole number from 1 to 5000"),
        (["--n-estimators", "1e3"], "'1e3' is not a whole number"),
        (["--n-estimators", "99999999999"], "is not a whole number from 1 to 5000"),
        (["--max-depth", "-1"], "'-1' is not a whole number from 1 to 100"),
        (["--test-size", "nan"], "'nan' is not a number from 0.1 to 0.5"),
        (["--test-size", "lots"], "'lots' is not a number"),
        (["--run-name", "a/b"], "'a/b' is not a name"),
        (["--experiment", " "], "is not a name"),
        (["--tag", "novalue"], "'novalue' is not KEY=VALUE"),
        (["--folds", "1"], "'1' is not a whole number from 2 to 20"),
        (["--sweep", "A b"], "'A b' is not 1 to 40 lower-case letters"),
        (
            ["--point", "trees=3"],
            "'trees=3' is not NAME=VALUE; names are n_estimators, max_depth, seed, test_size, folds",
        ),
        (["--point", "max_depth=deep"], "argument --max-depth: 'deep' is not a whole number"),
        (["--point", "seed=1", "--index", "1"], "argument --index: 1 is not from 0 to 0"),
        (["--n-estimator", "3"], "unrecognized arguments: --n-estimator 3"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(BadArguments) as refused:
        parse(argv)
    assert message in str(refused.value)
    assert refused.value.exit_code == 2


def test_an_index_chooses_its_point_and_keeps_the_other_options() -> None:
    points = ["--point", "n_estimators=50,max_depth=none", "--point", "n_estimators=50,max_depth=5"]
    found = parse([*points, "--index", "1", "--seed", "7", "--sweep", "a-sweep"])
    assert found.parameters == Parameters(n_estimators=50, max_depth=5, seed=7, test_size=0.2, folds=5)
    assert found.sweep == "a-sweep"


def test_a_point_names_all_parameters_the_same_way_however_it_was_written() -> None:
    assert point("max_depth=NONE,n_estimators=100") == point("seed=42")
    assert point("seed=42").point == "n_estimators=100,max_depth=none,seed=42,test_size=0.2,folds=5"
