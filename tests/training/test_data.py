"""Tables: iris, and what a user's CSV must look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training import data
from training.errors import BadData

HEADER = "width,height,kind"
ROWS = [f"{i / 10},{i % 7},{'ab'[i % 2]}" for i in range(30)]


def table(tmp_path: Path, lines: list[str], *, encoding: str = "utf-8") -> data.Table:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return data.read(path, folds=5)


def test_iris_has_the_courses_names_and_a_digest_of_its_own() -> None:
    iris = data.iris()
    assert iris.features.shape == (150, 4)
    assert iris.names == ("sepal_length", "sepal_width", "petal_length", "petal_width")
    assert iris.classes == ("setosa", "versicolor", "virginica")
    assert iris.digest == data.iris().digest
    assert len(iris.digest) == 16


def test_a_csv_keeps_names_order_and_classes(tmp_path: Path) -> None:
    found = table(tmp_path, [HEADER, *ROWS])
    assert found.names == ("width", "height")
    assert found.classes == ("a", "b")
    np.testing.assert_array_equal(found.features[3], [0.3, 3.0])
    assert found.target.tolist() == [i % 2 for i in range(30)]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    assert table(tmp_path, [HEADER, *ROWS], encoding="utf-8-sig").names[0] == "width"


def test_the_digest_changes_with_a_value_a_name_and_the_order(tmp_path: Path) -> None:
    digests = {
        table(tmp_path, lines).digest
        for lines in (
            [HEADER, *ROWS],
            [HEADER, *reversed(ROWS)],
            [HEADER.replace("width", "breadth"), *ROWS],
            [HEADER, "9.9,3,a", *ROWS[1:]],
        )
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER, *ROWS[:5]], "5 rows; 20 are the least"),
        (["width,width,kind", *ROWS], "two columns are called 'width'"),
        (["width,,kind", *ROWS], "column 2 has no name"),
        (["width", *["1"] * 30], "at least one feature and the class"),
        ([HEADER, *ROWS[:9], "1.0,,a", *ROWS[9:]], "line 11, column 'height': the value is missing"),
        ([HEADER, *ROWS[:9], "1.0,tall,a", *ROWS[9:]], "line 11, column 'height': 'tall' is not a number"),
        ([HEADER, *ROWS[:9], "1.0,inf,a", *ROWS[9:]], "'inf' is not a finite number"),
        ([HEADER, *ROWS[:9], "nan,1,a", *ROWS[9:]], "'nan' is not a finite number"),
        ([HEADER, *ROWS[:9], "1e39,1,a", *ROWS[9:]], "'1e39' is not a finite number a tree can compare"),
        ([HEADER, *ROWS[:9], "1.0,2", *ROWS[9:]], "line 11 has 2 values, the header 3"),
        ([HEADER, *ROWS[:9], "1.0,2,", *ROWS[9:]], "line 11: the class (column 'kind') is missing"),
        ([HEADER, *[row[:-1] + "a" for row in ROWS]], "every row is of the class 'a'"),
        ([HEADER, *ROWS, "1,2,c"], "class 'c' has 1 rows; 5 folds and a test need 7"),
        ([HEADER, *[f"{i},1,{'ab'[i % 2]}" for i in range(30)]], "column 'height' has one value in every row"),
        ([HEADER, *[f"{i},{i},{i}" for i in range(60)]], "60 classes, more than 50: is it the class?"),
    ],
)
def test_what_cannot_be_trained_on_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(BadData) as raised:
        table(tmp_path, lines)
    assert message in str(raised.value)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is not UTF-8 text"):
        table(tmp_path, ["größe,height,kind", *ROWS], encoding="latin-1")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"cannot read .*none\.csv: No such file"):
        data.read(tmp_path / "none.csv", folds=5)
