"""What OpenAPI says of bodies and answers.

Requests are described for the model in service: its own feature names, the ranges it takes, a row of its test data as the example. Requests are
read by `serving.bodies`, which words its complaints for people; tests hold the two against each other, so this page stays true.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from serving.model import Feature, Model
from serving.settings import MOST_ROWS

Schema = dict[str, Any]


def one(model: Model) -> tuple[type[BaseModel], type[BaseModel]]:
    """The two forms of a row: a list in the model's order, and by name."""
    measures = [_measure(feature) for feature in model.profile.features]
    example: list[JsonValue] = list(model.profile.golden[0][0])
    row: Any = tuple.__class_getitem__(tuple(measures))
    listed = create_model(
        "FeatureList",
        __doc__=f"The measurements in order: {', '.join(model.names)}.",
        __config__=_example({"features": example}),
        features=(row, ...),
    )
    fields: dict[str, Any] = {
        f"feature_{number}": (measure, Field(alias=name))
        for number, (name, measure) in enumerate(zip(model.names, measures, strict=True))
    }
    by_name = _example(dict(zip(model.names, example, strict=True)))
    named = create_model("NamedFeatures", __doc__="The same by name.", __config__=by_name, **fields)
    return listed, named


def _measure(feature: Feature) -> Any:
    trained = f"{feature.name}: the model was trained on {feature.min:g} to {feature.max:g}"
    return Annotated[
        float, Field(strict=True, ge=feature.low, le=feature.high, allow_inf_nan=False, description=trained)
    ]


def _example(value: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]})


def batch(model: Model) -> Schema:
    """A list of rows of either form, by itself or as `features` or `instances`."""
    listed, named = (form.model_json_schema() for form in one(model))
    rows = {"type": "array", "minItems": 1, "maxItems": MOST_ROWS}
    rows["items"] = {"anyOf": [listed["properties"]["features"], listed, named]}
    examples = [list(features) for features, _ in model.profile.golden[:2]]

    def under(key: str) -> Schema:
        return {
            "title": key.capitalize(),
            "type": "object",
            "required": [key],
            "properties": {key: rows},
            "examples": [{key: examples}],
        }

    return {"anyOf": [under("features"), under("instances"), rows]}


def infer(model: Model) -> Schema:
    """The Open Inference Protocol's request."""
    schema = InferRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    example = list(model.profile.golden[0][0])
    tensor = {"name": "features", "shape": [1, len(example)], "datatype": "FP64", "data": example}
    return schema | {"examples": [{"id": "1", "inputs": [tensor]}]}


def requests(model: Model) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Request bodies by the end of their path, and what they refer to by name."""
    asked = infer(model)
    definitions = asked.pop("$defs")
    bodies = {
        "/predict": {"anyOf": [form.model_json_schema() for form in one(model)]},
        "/predict/batch": batch(model),
        "/infer": asked,
    }
    return bodies, definitions


class Tensor(BaseModel):
    """An input: `data` flat or nested, in row-major order."""

    name: Literal["features"]
    shape: Annotated[list[int], Field(min_length=2, max_length=2)]
    datatype: Literal["FP64", "FP32"]
    data: list[Any]


class Wanted(BaseModel):
    """An output asked for."""

    name: Literal["label", "probabilities"]


class InferRequest(BaseModel):
    """One input, and which outputs are wanted (both)."""

    id: str = ""
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=1)]
    outputs: list[Wanted] = []


class Output(BaseModel):
    """`label` (INT64, [rows]) or `probabilities` (FP64, [rows, classes])."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class InferAnswer(BaseModel):
    """The Open Inference Protocol's answer."""

    model_name: str
    model_version: str
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Output]


class Failure(BaseModel):
    """Why there is no answer, as the Open Inference Protocol words it."""

    error: str


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


class Complaint(BaseModel):
    """One thing that is wrong, and where."""

    loc: list[str | int]
    msg: str
    type: str


class Wrong(BaseModel):
    """What is wrong with the request, place by place."""

    detail: list[Complaint]
    request_id: str
