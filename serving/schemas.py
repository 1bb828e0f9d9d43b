"""What the OpenAPI page says of bodies and answers. The answers are written by hand (orjson), not through these models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_ROW: list[JsonValue] = [5.1, 3.5, 1.4, 0.2]
_NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")

Measure = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, description="in centimetres")]


class FeatureList(BaseModel):
    """The four measurements in order: sepal length, sepal width, petal length, petal width."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"features": _ROW}]})
    features: Annotated[list[Measure], Field(min_length=4, max_length=4)]


class NamedFeatures(BaseModel):
    """The same by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(zip(_NAMES, _ROW, strict=True))]})
    sepal_length: Measure
    sepal_width: Measure
    petal_length: Measure
    petal_width: Measure


class Batch(BaseModel):
    """Up to 10,000 rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"features": [_ROW, _ROW]}]})
    features: Annotated[list[list[Measure]], Field(min_length=1, max_length=10_000)]


class Identity(BaseModel):
    """Which model answered."""

    name: str
    version: str
    run_id: str


class Prediction(BaseModel):
    """The likeliest class, and how likely each one is."""

    prediction: str
    class_id: int
    probabilities: dict[str, float]
    model: Identity
    request_id: str


class BatchPrediction(BaseModel):
    """One entry a row, in the order of the request; `probabilities` in the order of `classes`."""

    predictions: list[str]
    classes: list[str]
    probabilities: list[list[float]]
    model: Identity
    request_id: str


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str
    request_id: str


class Wrong(BaseModel):
    """What is wrong with the request, place by place."""

    detail: list[dict[str, Any]]
    request_id: str


def takes(*models: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI entry of a request body that is one of these."""
    schemas = [model.model_json_schema() for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
