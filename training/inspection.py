"""Is what lies in S3 a model that may be served? Asked again before the alias moves, for files can change after a training.

The checks are the service's own (digest, shapes, golden rows) and two more: nothing in the folder is pickle, which can run anything where
it is loaded, and scikit-learn's form answers as ONNX does.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
)
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from training import equality, profile, skopsform
from training.data import Floats
from training.errors import BadModel
from training.package import ONNX_FILE

NEEDED = (ONNX_FILE, skopsform.FILE, profile.FILE, "MLmodel")
_PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".bin")
_ONNX_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented)
_SKOPS_ERRORS = (
    zipfile.BadZipFile,
    ValueError,
    KeyError,
    TypeError,
    UntrustedTypesFoundException,
    UnsupportedTypeException,
)


@dataclass(frozen=True)
class Inspected:
    """What was found in order: the file's SHA-256 and how many golden rows were answered as at training time."""

    digest: str
    golden: int
    features: tuple[str, ...]
    classes: tuple[str, ...]


def inspect(files: Mapping[str, bytes], *, digest: str) -> Inspected:
    """Raise BadModel, saying what is wrong. `files` by name; `digest` is what the registry says of ONNX, "" where it says nothing."""
    _check_names(files)
    made = _profile(files[profile.FILE])
    model = files[ONNX_FILE]
    found = hashlib.sha256(model).hexdigest()
    if found != made["model_sha256"] or (digest and found != digest):
        raise BadModel(f"{ONNX_FILE} is not the file that was registered (its SHA-256 differs)")
    try:
        rows = np.array([row["features"] for row in made["golden"]], dtype=np.float64)
        expected = np.array([row["probabilities"] for row in made["golden"]], dtype=np.float64)
        if rows.shape[1:] != (len(made["features"]),) or expected.shape[1:] != (len(made["classes"]),):
            raise BadModel(f"{profile.FILE}: its golden rows have another shape than its features and classes")
        _check_answers(_answers(model, rows, made), expected, "the ONNX form")
        _check_answers(_answers_of_skops(files[skopsform.FILE], rows), expected, "scikit-learn's form")
    except _ONNX_ERRORS as error:
        raise BadModel(f"{ONNX_FILE} is no ONNX model this runtime takes: {_short(error)}") from error
    names = tuple(str(feature["name"]) for feature in made["features"])
    return Inspected(digest=found, golden=len(rows), features=names, classes=tuple(made["classes"]))


def _check_names(files: Mapping[str, bytes]) -> None:
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise BadModel(
            f"the version has no {', '.join(missing)}: `python -m training` did not make it, or its files are gone"
        )
    for name, body in files.items():
        if name.endswith(_PICKLES) or (body[:1] == b"\x80" and body[-1:] == b"."):
            raise BadModel(f"{name} is pickle, which runs whatever is in it when it is loaded")


def _profile(text: bytes) -> dict[str, Any]:
    try:
        made: dict[str, Any] = json.loads(text)
        complete = made["features"] and len(made["classes"]) > 1 and made["golden"] and made["model_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{profile.FILE} is not what `python -m training` writes: {error!r}") from error
    if not complete:
        raise BadModel(f"{profile.FILE} names no features, classes or golden rows")
    return made


def _answers(model: bytes, rows: Floats, made: Mapping[str, Any]) -> Floats:
    runtime = equality.session(model)
    inputs = [(one.name, one.type, one.shape[-1]) for one in runtime.get_inputs()]
    if inputs != [("features", "tensor(double)", len(made["features"]))]:
        raise BadModel(f"{ONNX_FILE} does not take 'features' with {len(made['features'])} doubles a row")
    outputs = {one.name: one.shape for one in runtime.get_outputs()}
    if set(outputs) != {"label", "probabilities"} or outputs["probabilities"][-1] != len(made["classes"]):
        raise BadModel(f"{ONNX_FILE} does not answer with a label and {len(made['classes'])} probabilities")
    answers: Floats = runtime.run(["probabilities"], {"features": rows})[0]
    return answers


def _answers_of_skops(file: bytes, rows: Floats) -> Floats:
    try:
        answers: Floats = skopsform.load(io.BytesIO(file)).predict_proba(rows)
    except _SKOPS_ERRORS as error:
        raise BadModel(f"{skopsform.FILE} cannot be loaded safely: {_short(error)}") from error
    return answers


def _check_answers(found: Floats, expected: Floats, who: str) -> None:
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=equality.TOLERANCE):
        raise BadModel(f"{who} answers the golden rows differently than at training time")


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
