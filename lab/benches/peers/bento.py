"""The same model as a BentoML service."""

import os
from typing import Any

import bentoml  # type: ignore[import-not-found]
import joblib  # type: ignore[import-untyped]


@bentoml.service(workers=1)
class Iris:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, features: list[list[float]]) -> dict[str, Any]:
        probabilities = self.model.predict_proba(features)
        return {"classes": probabilities.argmax(axis=1).tolist(), "probabilities": probabilities.tolist()}
