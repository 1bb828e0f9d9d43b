"""A trained forest as one MLflow model: scikit-learn's form in skops, which is not pickle, and ONNX, side by side in one folder.

The folder is what `mlflow.sklearn.save_model` writes, with the ONNX flavor added, so `mlflow.sklearn.load_model`,
`mlflow.onnx.load_model` and `mlflow.pyfunc.load_model` all read it. It is written here because MLflow's function would write skops's own
bytes, which differ from one time to the next. Nothing leaves this module that has not been compared.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import onnx
import pandas as pd
import sklearn
import yaml
from mlflow.models import Model, infer_signature

from training import equality, profile, skopsform
from training.data import Table
from training.equality import Equality
from training.model import Trained
from training.onnxform import convert

ONNX_FILE = "model.onnx"
PACKAGES = ("mlflow", "scikit-learn", "skops", "onnx", "onnxruntime", "numpy", "scipy", "pandas")
_CLIENT = {"mlflow": "mlflow-skinny"}  # the image has MLflow's client alone, which has the same version
_EXAMPLE, _SERVING_EXAMPLE, _CONDA, _PYTHON = (
    "input_example.json",
    "serving_input_example.json",
    "conda.yaml",
    "python_env.yaml",
)


@dataclass(frozen=True)
class Package:
    """What was written, and how alike the two forms answer. `digest` (of the ONNX file) names the model itself."""

    folder: Path
    digest: str
    skops_digest: str
    equality: Equality

    def metrics(self) -> dict[str, float]:
        """The comparison, for the run."""
        return {"forms_points": self.equality.points, "forms_largest_difference": self.equality.largest}

    def tags(self) -> dict[str, str]:
        """Both forms' SHA-256, for the run."""
        return {"model_digest": self.digest, "skops_digest": self.skops_digest}


@cache
def versions() -> dict[str, str]:
    """The packages a model was made with, and is to be run with."""
    return {name: version(_CLIENT.get(name, name)) for name in PACKAGES}


def write(folder: Path, table: Table, trained: Trained, *, seed: int, mlflow_model: Model) -> Package:
    """Write the folder and compare the forms as they were written. Raise FormsDiffer; the folder is of no use then."""
    folder.mkdir()
    safe, model = skopsform.dump(trained.forest), convert(trained.forest)
    (folder / skopsform.FILE).write_bytes(safe)
    (folder / ONNX_FILE).write_bytes(model)
    runtime = equality.session(model)
    reread = skopsform.load(folder / skopsform.FILE)
    alike = equality.check(reread, runtime, test=trained.split.test_features, data=table.features, seed=seed)
    (folder / profile.FILE).write_bytes(profile.encode(profile.profile(table, trained, model, runtime)))
    _write_environment(folder)
    _describe(folder, table, trained, mlflow_model)
    return Package(
        folder=folder,
        digest=hashlib.sha256(model).hexdigest(),
        skops_digest=hashlib.sha256(safe).hexdigest(),
        equality=alike,
    )


def _write_environment(folder: Path) -> None:
    """What MLflow needs to make an environment for the model, in the three forms it knows."""
    requirements = [f"{name}=={number}" for name, number in versions().items()]
    python = platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": requirements}],
    }
    environment = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "requirements.txt").write_text("\n".join(requirements))
    (folder / _CONDA).write_text(yaml.safe_dump(conda, sort_keys=False))
    (folder / _PYTHON).write_text(yaml.safe_dump(environment, sort_keys=False))


def _describe(folder: Path, table: Table, trained: Trained, description: Model) -> None:
    """MLmodel: the flavors, the signature with the features' names, and an example of rows."""
    rows = pd.DataFrame(trained.split.test_features[:3], columns=list(table.names))
    description.signature = infer_signature(rows, trained.split.test_target[:3])
    description.metadata = {"classes": list(table.classes)}
    description.saved_input_example_info = _write_example(folder, rows)
    mlflow.pyfunc.add_to_model(
        description,
        loader_module="mlflow.sklearn",
        conda_env=_CONDA,
        python_env=_PYTHON,
        model_path=skopsform.FILE,
        predict_fn="predict",
    )
    description.add_flavor(
        "sklearn",
        pickled_model=skopsform.FILE,  # MLflow's name for the file, whatever its format
        sklearn_version=sklearn.__version__,
        serialization_format="skops",
        skops_trusted_types=skopsform.TRUSTED,
        code=None,
    )
    description.add_flavor(
        "onnx",
        onnx_version=onnx.__version__,
        data=ONNX_FILE,
        providers=["CPUExecutionProvider"],
        onnx_session_options=None,
        code=None,
    )
    description.model_size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    description.save(str(folder / "MLmodel"))


def _write_example(folder: Path, rows: pd.DataFrame) -> dict[str, Any]:
    split = {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}
    (folder / _EXAMPLE).write_text(json.dumps(split))
    (folder / _SERVING_EXAMPLE).write_text(json.dumps({"dataframe_split": split}))
    return {
        "artifact_path": _EXAMPLE,
        "serving_input_path": _SERVING_EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
    }
