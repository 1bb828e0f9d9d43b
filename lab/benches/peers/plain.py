"""A scikit-learn model behind FastAPI, as tutorials show it."""

import os
from typing import Any

import joblib  # type: ignore[import-untyped]
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Rows(BaseModel):
    features: list[list[float]]


@app.post("/predict")
def predict(rows: Rows) -> dict[str, Any]:
    probabilities = model.predict_proba(rows.features)
    return {"classes": probabilities.argmax(axis=1).tolist(), "probabilities": probabilities.tolist()}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
