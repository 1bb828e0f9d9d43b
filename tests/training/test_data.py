"""Tables: iris, and what a user's CSV must look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training import data, source
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
        ([HEADER, *ROWS[:9], "nan,1,a", *ROWS[9:]], "line 11, column 'width': the value is missing ('nan')"),
        ([HEADER, *ROWS[:9], "1,N/A,a", *ROWS[9:]], "line 11, column 'height': the value is missing ('N/A')"),
        ([HEADER, *ROWS[:9], "1e39,1,a", *ROWS[9:]], "'1e39' is not a finite number a tree can compare"),
        ([HEADER, *ROWS[:9], "1.0,2", *ROWS[9:]], "line 11 has 2 values, the header 3"),
        ([HEADER, *ROWS[:9], "1.0,2,", *ROWS[9:]], "line 11: the class (column 'kind') is missing"),
        ([HEADER, "", *ROWS[:8], "", "1.0,?,a", *ROWS[9:]], "line 12, column 'height': the value is missing"),
        (["width;height;kind", *[row.replace(",", ";") for row in ROWS]], "separated by commas; this file uses ';'"),
        (["1.0,2.0,a", *ROWS], "the first line has numbers (1.0, ...): it must name the columns"),
        (["w\x00i,height,kind", *ROWS], "column 1's name is no text"),
        ([",".join(f"c{n}" for n in range(300)), *ROWS], "the header has 300 columns; 200 are the most"),
        ([HEADER, *ROWS, f"1,2,{'x' * 101}"], "which is no name of a class"),
        ([HEADER, *ROWS * 3400], "has more than 100000 rows"),
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


def test_utf_16_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is not UTF-8 text"):
        table(tmp_path, [HEADER, *ROWS], encoding="utf-16")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(BadData, match=r"table\.csv has 3000 MB; 20 MB are the most"):
        data.read(path, folds=5)


def test_words_that_look_missing_may_be_a_class(tmp_path: Path) -> None:
    assert table(tmp_path, [HEADER, *[row.replace(",a", ",none") for row in ROWS]]).classes == ("b", "none")


def test_the_interface_is_names_and_classes_and_nothing_else(tmp_path: Path) -> None:
    one, same = table(tmp_path, [HEADER, *ROWS]), table(tmp_path, [HEADER, *reversed(ROWS)])
    other = table(tmp_path, [HEADER.replace("width", "breadth"), *ROWS])
    assert one.interface == same.interface != other.interface
    assert one.digest != same.digest


def test_a_table_in_s3_must_be_the_one_its_name_says(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="the name must say what is in it"):
        source.fetch("s3://bucket/table.csv", tmp_path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"cannot read .*none\.csv: No such file"):
        data.read(tmp_path / "none.csv", folds=5)
