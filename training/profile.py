"""serving.json: what a service must know of a model beside the model itself, in one small file beside it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import onnxruntime

from training.data import Table
from training.equality import golden_rows
from training.model import Trained

FILE = "serving.json"
BINS = 10


def profile(table: Table, trained: Trained, model: bytes, runtime: onnxruntime.InferenceSession) -> dict[str, Any]:
    """Feature names and ranges, classes, golden rows with their answers, and the digest of the model file they belong to.

    A feature's `edges` and `shares` are its training data as a histogram (deciles; the outer bins are open), which drift is measured against.
    """
    rows = golden_rows(trained.split.test_features, trained.split.test_target)
    return {
        "schema": 1,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "classes": list(table.classes),
        "features": [
            _feature(name, column) for name, column in zip(table.names, trained.split.train_features.T, strict=True)
        ],
        "golden": [
            {"features": row.tolist(), "probabilities": answer.tolist()}
            for row, answer in zip(rows, runtime.run(["probabilities"], {"features": rows})[0], strict=True)
        ],
    }


def _feature(name: str, column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, Any]:
    edges = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, column, side="left"), minlength=len(edges) + 1)
    return {
        "name": name,
        "min": float(column.min()),
        "max": float(column.max()),
        "edges": edges.tolist(),
        "shares": (counts / counts.sum()).tolist(),
    }


def encode(profile: dict[str, Any]) -> bytes:
    """As a file; the same profile gives the same bytes."""
    return json.dumps(profile, indent=1, sort_keys=True, allow_nan=False).encode()
