"""`python -m lab.benches.forest TREES CACHE JOBLIB MLFLOW`: the course's forest in every form the benchmarks' servers read."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import mlflow.sklearn

from serving.cache import Cache
from serving.registry import Files, Version
from training import data, equality, model, profile
from training.arguments import Parameters
from training.onnxform import convert


def main(trees: int, cache: Path, kept: Path, folder: Path) -> None:
    """Train once, write three times."""
    table = data.iris()
    parameters = Parameters(n_estimators=trees, max_depth=None, seed=42, test_size=0.2, folds=2)
    trained = model.train(model.split(table, parameters), parameters)
    body = convert(trained.forest)
    described = profile.encode(profile.profile(table, trained, body, equality.session(body)))
    version = Version("iris", "1", "bench", hashlib.sha256(body).hexdigest())
    Cache((cache,), "iris").save(version, Files(profile=described, model=body))
    joblib.dump(trained.forest, kept)
    mlflow.sklearn.save_model(trained.forest, str(folder), serialization_format="cloudpickle", pip_requirements=[])


if __name__ == "__main__":
    main(int(sys.argv[1]), *(Path(argument) for argument in sys.argv[2:5]))
