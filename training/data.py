"""The table a model is trained on: iris as scikit-learn ships it, or the user's own CSV, checked before anything else happens."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_iris

from training.errors import BadData

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

IRIS_NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
MOST_ROWS, MOST_CLASSES, FEWEST_ROWS = 100_000, 50, 20


@dataclass(frozen=True)
class Table:
    """Rows and their classes; `target` indexes `classes`. Both arrays are contiguous and in the file's order."""

    features: Floats
    target: Integers
    names: tuple[str, ...]
    classes: tuple[str, ...]
    source: str

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change when a value, a name or the order of rows does (MLflow takes at most 36)."""
        sha = hashlib.sha256(repr((self.names, self.classes, self.features.shape)).encode())
        sha.update(self.features.tobytes())
        sha.update(self.target.tobytes())
        return sha.hexdigest()[:16]


def iris() -> Table:
    """The 150 flowers, with the names the course gives the measurements."""
    bunch = load_iris()
    return Table(
        features=np.ascontiguousarray(bunch.data, dtype=np.float64),
        target=np.ascontiguousarray(bunch.target, dtype=np.int64),
        names=IRIS_NAMES,
        classes=tuple(str(name) for name in bunch.target_names),
        source="sklearn.datasets.load_iris",
    )


def read(path: Path, *, folds: int) -> Table:
    """A CSV file with a header line; the last column is the class. Raise BadData, naming line and column, for what cannot be used."""
    header, rows = _rows(path)
    _check_header(header)
    features = _numbers(header, rows)
    labels = [row[-1].strip() for row in rows]
    classes = tuple(sorted(set(labels)))
    _check_classes(labels, classes, header[-1], folds)
    constant = [name for name, column in zip(header, features.T, strict=False) if np.ptp(column) == 0]
    if constant:
        raise BadData(f"column {constant[0]!r} has one value in every row: remove it, it says nothing about the class")
    index = {name: number for number, name in enumerate(classes)}
    target = np.array([index[label] for label in labels], dtype=np.int64)
    return Table(features=features, target=target, names=tuple(header[:-1]), classes=classes, source=path.name)


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = list(islice((row for row in reader if row), MOST_ROWS + 1))
    except UnicodeDecodeError as error:
        raise BadData(f"{path.name} is not UTF-8 text (byte {error.start}): save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise BadData(f"{path.name} is not a CSV file: {error}") from error
    except OSError as error:
        raise BadData(f"cannot read {path}: {error.strerror}") from error
    if len(rows) > MOST_ROWS:
        raise BadData(f"{path.name} has more than {MOST_ROWS} rows")
    if len(rows) < FEWEST_ROWS:
        raise BadData(f"{path.name} has {len(rows)} rows; {FEWEST_ROWS} are the least a model can be judged on")
    return header, rows


def _check_header(header: Sequence[str]) -> None:
    if len(header) < 2:
        raise BadData("the header needs at least one feature and the class, separated by commas")
    if not all(header):
        raise BadData(f"column {[*header].index('') + 1} has no name in the header")
    doubled = [name for name, count in Counter(header).items() if count > 1]
    if doubled:
        raise BadData(f"two columns are called {doubled[0]!r}")


def _numbers(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Floats:
    features = np.empty((len(rows), len(header) - 1), dtype=np.float64)
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise BadData(f"line {number + 2} has {len(row)} values, the header {len(header)}")
        for column, text in enumerate(row[:-1]):
            features[number, column] = _number(text, f"line {number + 2}, column {header[column]!r}")
    return features


def _number(text: str, where: str) -> float:
    if not text.strip():
        raise BadData(f"{where}: the value is missing")
    try:
        value = float(text)
    except ValueError as error:
        raise BadData(f"{where}: {text!r} is not a number") from error
    if not abs(value) < float(np.finfo(np.float32).max):
        raise BadData(f"{where}: {text!r} is not a finite number a tree can compare")
    return value


def _check_classes(labels: Sequence[str], classes: Sequence[str], column: str, folds: int) -> None:
    if "" in classes:
        raise BadData(f"line {list(labels).index('') + 2}: the class (column {column!r}) is missing")
    if len(classes) < 2:
        raise BadData(f"every row is of the class {classes[0]!r}: a model needs at least two to tell apart")
    if len(classes) > MOST_CLASSES:
        raise BadData(f"column {column!r} has {len(classes)} classes, more than {MOST_CLASSES}: is it the class?")
    rarest, count = min(Counter(labels).items(), key=lambda item: item[1])
    if count < folds + 2:
        raise BadData(f"class {rarest!r} has {count} rows; {folds} folds and a test need {folds + 2}")
