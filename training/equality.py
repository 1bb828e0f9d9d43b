"""The two forms of a model must answer alike; a registered model is only what has passed here.

Compared on the test set, on a dense grid over (and beyond) the range of the data, and where a difference would show first: on the
thresholds of the trees and one step to either side of them, in double and in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from sklearn.ensemble import RandomForestClassifier

from training.data import Floats, Integers
from training.errors import FormsDiffer

GRID_POINTS, THRESHOLD_POINTS = 10_000, 5_000
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Equality:
    """How many points were compared, and the largest difference of a probability."""

    points: int
    largest: float


def session(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime with one thread, as the service runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def check(
    forest: RandomForestClassifier, runtime: onnxruntime.InferenceSession, *, test: Floats, data: Floats, seed: int
) -> Equality:
    """Raise FormsDiffer for one class that differs, or a probability by more than 1e-6."""
    points = np.vstack([test, grid(data, seed), around_thresholds(forest, data, seed)])
    expected = forest.predict_proba(points)
    label, probabilities = runtime.run(["label", "probabilities"], {"features": points})
    largest = float(np.abs(expected - probabilities).max())
    _refuse(points, expected.argmax(axis=1) != label, "call a point by different classes")
    _refuse(points, np.abs(expected - probabilities).max(axis=1) > TOLERANCE, f"differ by up to {largest:.2g}")
    return Equality(points=len(points), largest=largest)


def _refuse(points: Floats, wrong: np.ndarray[tuple[int], np.dtype[np.bool_]], what: str) -> None:
    if wrong.any():
        first = ", ".join(f"{value:.17g}" for value in points[wrong.argmax()])
        raise FormsDiffer(f"the ONNX form and scikit-learn {what} ({int(wrong.sum())} points; the first: {first})")


def grid(data: Floats, seed: int) -> Floats:
    """A full grid where there are few features, as many random points of the same box where there are many."""
    low, high = data.min(axis=0), data.max(axis=0)
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    features = data.shape[1]
    steps = int(GRID_POINTS ** (1 / features))
    if steps < 4:
        return np.random.default_rng(seed).uniform(low, high, (GRID_POINTS, features))
    axes = [np.linspace(low[i], high[i], steps) for i in range(features)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, features)


def around_thresholds(forest: RandomForestClassifier, data: Floats, seed: int) -> Floats:
    """Points whose every coordinate is a threshold of that feature, or the next number to either side of one."""
    random = np.random.default_rng(seed)
    features = np.concatenate([estimator.tree_.feature for estimator in forest.estimators_])
    thresholds = np.concatenate([estimator.tree_.threshold for estimator in forest.estimators_])
    columns = []
    for feature in range(data.shape[1]):
        exact = np.unique(thresholds[features == feature])
        columns.append(random.choice(_neighbours(exact) if exact.size else data[:, feature], THRESHOLD_POINTS))
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _neighbours(exact: Floats) -> Floats:
    single = exact.astype(np.float32)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    near = [np.nextafter(single, down), single, np.nextafter(single, up)]
    return np.concatenate(
        [exact, np.nextafter(exact, np.inf), np.nextafter(exact, -np.inf), *(n.astype(np.float64) for n in near)]
    )


def golden_rows(test: Floats, target: Integers, *, each: int = 3) -> Floats:
    """A few test rows of every class, for a service to try a model on before it takes it."""
    chosen = [np.flatnonzero(target == label)[:each] for label in np.unique(target)]
    return test[np.concatenate(chosen)]
