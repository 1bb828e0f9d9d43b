"""The command line."""

from __future__ import annotations

import pytest

from training.arguments import Parameters, parse


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
    ],
)
def test_wrong_arguments_end_with_2_and_one_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
