"""A version's files, checked, as something that answers. What cannot be checked is not served.

ONNX Runtime loads the file and passes the self-test. Where the forest can also be had as bit tables that answer exactly as ONNX Runtime does
(`serving.forest`), those answer requests: they are ten times as fast.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from serving import forest, trees
from serving.errors import BadModel
from serving.forest import Forest
from serving.registry import Files, Version

Rows = npt.NDArray[np.float64]

TOLERANCE = 1e-6
# How far beyond the training data a value may lie, in widths of the data, before it is refused as a mistake.
REACH = 5.0
_OUTPUTS = ["label", "probabilities"]
_ONNX_ERRORS = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)


@dataclass(frozen=True)
class Feature:
    """A column: its name, the range of the training data, and its histogram (`edges` between the shares)."""

    name: str
    min: float
    max: float
    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def low(self) -> float:
        """The smallest value taken; never below zero for what was never below zero."""
        reach = self.min - REACH * (self.max - self.min)
        return max(0.0, reach) if self.min >= 0 else reach

    @property
    def high(self) -> float:
        """The largest value taken."""
        return self.max + REACH * (self.max - self.min)


@dataclass(frozen=True)
class Profile:
    """serving.json, read."""

    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    golden: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    sha256: str

    @classmethod
    def read(cls, text: bytes) -> Profile:
        """Raise BadModel for anything but what the training writes."""
        try:
            found = json.loads(text)
            features = tuple(_feature(item) for item in found["features"])
            golden = tuple((tuple(row["features"]), tuple(row["probabilities"])) for row in found["golden"])
            profile = cls(features, tuple(found["classes"]), golden, found["model_sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadModel(f"serving.json is not what `python -m training` writes: {error!r}") from error
        if not (profile.features and len(profile.classes) > 1 and golden):
            raise BadModel("serving.json names no features, classes or golden rows")
        for names in ([feature.name for feature in features], profile.classes):
            if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
                raise BadModel("serving.json names a feature or a class twice, or by something that is no text")
        return profile


def _feature(item: dict[str, Any]) -> Feature:
    low, high = float(item["min"]), float(item["max"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"range of feature {item['name']!r}")
    edges, shares = tuple(map(float, item["edges"])), tuple(map(float, item["shares"]))
    if len(shares) != len(edges) + 1 or list(edges) != sorted(edges):
        raise ValueError(f"histogram of feature {item['name']!r}")
    return Feature(str(item["name"]), low, high, edges, shares)


class Model:
    """A model that has passed its self-test. Immutable; any number of requests may use it while another takes its place."""

    def __init__(self, version: Version, profile: Profile, session: onnxruntime.InferenceSession) -> None:
        self.version, self.profile, self.session = version, profile, session
        self.names = tuple(feature.name for feature in profile.features)
        self.classes = profile.classes
        self.low = np.array([feature.low for feature in profile.features])
        self.high = np.array([feature.high for feature in profile.features])
        self.bounds = [(feature.low, feature.high) for feature in profile.features]
        self.identity = {"name": version.name, "version": version.version, "run_id": version.run_id}
        self.forest: Forest | None = None

    @property
    def engine(self) -> str:
        """What answers requests."""
        return "bit tables, checked against ONNX Runtime" if self.forest else "ONNX Runtime"

    @classmethod
    def load(cls, version: Version, files: Files) -> Model:
        """Check the digest, the shapes and the golden rows. Raise BadModel, saying what is wrong."""
        profile = Profile.read(files.profile)
        digest = hashlib.sha256(files.model).hexdigest()
        if digest != profile.sha256 or (version.digest and digest != version.digest):
            raise BadModel("model.onnx is not the file that was registered (its SHA-256 differs)")
        model = cls(version, profile, _session(files.model))
        _check_shapes(model)
        _self_test(model)
        model.forest = _forest(model, files.model)
        return model

    def predict(self, rows: Rows) -> tuple[npt.NDArray[np.int64], Rows]:
        """Class numbers and probabilities, a row each."""
        return self.forest.predict(rows) if self.forest else self.run(rows)

    def one(self, values: Sequence[float]) -> tuple[int, list[float]]:
        """The same for one row."""
        if self.forest:
            return self.forest.one(values)
        label, probabilities = self.run(np.array([values], dtype=np.float64))
        return int(label[0]), probabilities[0].tolist()

    def run(self, rows: Rows) -> tuple[npt.NDArray[np.int64], Rows]:
        """What ONNX Runtime says."""
        label, probabilities = self.session.run(_OUTPUTS, {"features": rows})
        return label, probabilities


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """One thread: the node runs as many workers as it has processors to give."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _ONNX_ERRORS as error:
        raise BadModel(f"model.onnx is no ONNX model this runtime takes: {_short(error)}") from error


def _check_shapes(model: Model) -> None:
    inputs, outputs = model.session.get_inputs(), {output.name: output for output in model.session.get_outputs()}
    wanted = [("features", "tensor(double)", len(model.names))]
    if [(one.name, one.type, one.shape[-1]) for one in inputs] != wanted:
        raise BadModel(f"model.onnx does not take 'features' with {len(model.names)} doubles a row")
    if set(outputs) != set(_OUTPUTS) or outputs["probabilities"].shape[-1] != len(model.classes):
        raise BadModel(f"model.onnx does not answer with a label and {len(model.classes)} probabilities")


def _self_test(model: Model) -> None:
    try:
        rows = np.array([features for features, _ in model.profile.golden], dtype=np.float64)
        expected = np.array([answer for _, answer in model.profile.golden], dtype=np.float64)
        label, probabilities = model.run(rows)
        same = np.array_equal(label, expected.argmax(axis=1)) and np.allclose(
            probabilities, expected, rtol=0, atol=TOLERANCE
        )
    except (ValueError, *_ONNX_ERRORS) as error:
        raise BadModel(f"the self-test failed: {_short(error)}") from error
    if not same:
        raise BadModel("the self-test failed: golden rows are answered differently than at training time")


def _forest(model: Model, body: bytes) -> Forest | None:
    """None for what is no forest as the training writes it: ONNX Runtime answers then."""
    width, classes = len(model.names), len(model.classes)
    try:
        found = trees.read(body)
        if found is None:
            return None
        return forest.compile(found, features=width, classes=classes, judge=model.run, reach=model.bounds)
    except (ValueError, LookupError):
        return None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
