"""A trained forest as one MLflow model: scikit-learn's form in skops, which is not pickle, and ONNX, side by side in one folder.

The folder is what `mlflow.sklearn.save_model` writes, with the ONNX flavor added to its MLmodel file, so `mlflow.sklearn.load_model`,
`mlflow.onnx.load_model` and `mlflow.pyfunc.load_model` all read it. Nothing leaves this module that has not been compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import mlflow.sklearn
import onnx
import pandas as pd
import skops.io
from mlflow.models import Model, infer_signature

from training import equality, profile
from training.data import Table
from training.equality import Equality
from training.model import Trained
from training.onnxform import convert

ONNX_FILE = "model.onnx"
# Node tables of trees; skops asks for each such type to be reviewed by whoever loads a file. This is the only one a forest needs.
TRUSTED = ["sklearn.tree._tree.Tree"]
PACKAGES = ("mlflow", "scikit-learn", "skops", "onnxruntime", "numpy", "pandas")


@dataclass(frozen=True)
class Package:
    """What was written, and how alike the two forms answer. `digest` (of the ONNX file) names the model itself."""

    folder: Path
    digest: str
    equality: Equality

    def metrics(self) -> dict[str, float]:
        """The comparison, for the run."""
        return {"forms_points": self.equality.points, "forms_largest_difference": self.equality.largest}


@cache
def versions() -> dict[str, str]:
    """The packages a model was made with, and is to be run with."""
    return {name: version(name) for name in PACKAGES}


def write(folder: Path, table: Table, trained: Trained, *, seed: int, mlflow_model: Model) -> Package:
    """Write the folder and compare the forms as they were written. Raise FormsDiffer; the folder is of no use then."""
    features = pd.DataFrame(trained.split.test_features, columns=list(table.names))
    mlflow.sklearn.save_model(
        trained.forest,
        str(folder),
        mlflow_model=mlflow_model,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=TRUSTED,
        signature=infer_signature(features, trained.forest.predict(trained.split.test_features)),
        input_example=features.head(3),
        pip_requirements=[f"{name}=={number}" for name, number in versions().items()],
        metadata={"classes": list(table.classes)},
    )
    model = convert(trained.forest)
    (folder / ONNX_FILE).write_bytes(model)
    runtime = equality.session(model)
    reread = skops.io.load(folder / "model.skops", trusted=TRUSTED)
    alike = equality.check(reread, runtime, test=trained.split.test_features, data=table.features, seed=seed)
    (folder / profile.FILE).write_bytes(profile.encode(profile.profile(table, trained, model, runtime)))
    _add_onnx_flavor(folder)
    return Package(folder=folder, digest=hashlib.sha256(model).hexdigest(), equality=alike)


def _add_onnx_flavor(folder: Path) -> None:
    description = Model.load(str(folder / "MLmodel"))
    description.add_flavor(
        "onnx",
        onnx_version=onnx.__version__,
        data=ONNX_FILE,
        providers=["CPUExecutionProvider"],
        onnx_session_options=None,
        code=None,
    )
    description.save(str(folder / "MLmodel"))
