"""The table a model is trained on: iris as scikit-learn ships it, or the user's own CSV, checked before anything else happens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_iris

from training import table

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

IRIS_NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


@dataclass(frozen=True)
class Table:
    """Rows and their classes; `target` indexes `classes`. Both arrays are contiguous and in the file's order."""

    features: Floats
    target: Integers
    names: tuple[str, ...]
    classes: tuple[str, ...]
    source: str

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that change when a value, a name or the order of rows does (MLflow takes at most 36)."""
        sha = hashlib.sha256(repr((self.names, self.classes, self.features.shape)).encode())
        sha.update(self.features.tobytes())
        sha.update(self.target.tobytes())
        return sha.hexdigest()[:16]

    @property
    def interface(self) -> str:
        """Sixteen hex digits of what a model of this table takes and answers: the features' names and the classes."""
        return hashlib.sha256(repr((self.names, self.classes)).encode()).hexdigest()[:16]


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


def read(path: Path, *, folds: int, name: str = "") -> Table:
    """A CSV file as `training.table` takes it; `name` is what it is called where that is not the file's own name."""
    found = table.read(path, folds=folds)
    index = {label: number for number, label in enumerate(found.classes)}
    return Table(
        features=np.array(found.rows, dtype=np.float64),
        target=np.array([index[label] for label in found.labels], dtype=np.int64),
        names=found.names,
        classes=found.classes,
        source=name or path.name,
    )
