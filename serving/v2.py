"""The Open Inference Protocol (v2, HTTP), as KServe's and Triton's clients speak it.

One input `features`, FP64 or FP32, [rows, features]; outputs `label` (INT64, [rows]) and `probabilities` (FP64, [rows, classes]).
Errors are {"error": text}, as the protocol has them.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from fastapi import FastAPI, Request, Response

from serving import bodies, schemas
from serving.bodies import TooLarge, Unprocessable
from serving.model import Model, Rows
from serving.predict import count
from serving.service import Service
from serving.settings import BATCH_BYTES, MOST_ROWS


def add(app: FastAPI, service: Service) -> None:
    """The protocol's routes."""
    _server(app, service)
    _models(app, service)


def _server(app: FastAPI, service: Service) -> None:
    @app.get("/v2", tags=["v2"])
    async def server() -> Response:
        """Who answers."""
        return _answer({"name": "iris-serving", "version": "1", "extensions": []})

    @app.get("/v2/health/live", tags=["v2"])
    async def live() -> Response:
        """The process lives."""
        return _answer({"live": True})

    @app.get("/v2/health/ready", tags=["v2"])
    async def ready() -> Response:
        """A model is loaded, and this process is not on its way out."""
        is_ready = service.model is not None and not service.draining
        return _answer({"ready": is_ready}, 200 if is_ready else 503)


def _models(app: FastAPI, service: Service) -> None:
    """Every route twice, as the protocol has them: of the model, and of one version of it."""
    failures: dict[int | str, dict[str, Any]] = {status: {"model": schemas.Failure} for status in (404, 503)}
    answers = {200: {"model": schemas.InferAnswer}, **failures, 400: failures[404], 413: failures[404]}
    model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"

    @app.get(f"{model}/ready", tags=["v2"], responses=failures)
    async def model_ready(name: str) -> Response:
        """The model answers."""
        return _ready(service, name)

    @app.get(f"{version}/ready", tags=["v2"], responses=failures)
    async def version_ready(name: str, version: str) -> Response:
        """This version of the model answers."""
        return _ready(service, name, version)

    @app.get(model, tags=["v2"], responses=failures)
    async def model_metadata(name: str) -> Response:
        """What the model takes and answers."""
        return _described(service, name)

    @app.get(version, tags=["v2"], responses=failures)
    async def version_metadata(name: str, version: str) -> Response:
        """What this version of the model takes and answers."""
        return _described(service, name, version)

    @app.post(f"{model}/infer", tags=["v2"], responses=answers)
    async def model_infer(request: Request, name: str) -> Response:
        """Classes and probabilities of up to 10,000 rows."""
        return await _inferred(service, request, name)

    @app.post(f"{version}/infer", tags=["v2"], responses=answers)
    async def version_infer(request: Request, name: str, version: str) -> Response:
        """Classes and probabilities by this version."""
        return await _inferred(service, request, name, version)


def _ready(service: Service, name: str, version: str = "") -> Response:
    found = _find(service, name, version)
    return found if isinstance(found, Response) else _answer({"name": name, "ready": True})


def _described(service: Service, name: str, version: str = "") -> Response:
    found = _find(service, name, version)
    return found if isinstance(found, Response) else _answer(_metadata(found))


async def _inferred(service: Service, request: Request, name: str, version: str = "") -> Response:
    found = _find(service, name, version)
    if isinstance(found, Response):
        return found
    try:
        body = await bodies.read(request.receive, BATCH_BYTES)
        rows, labels, answer = await asyncio.to_thread(_infer, body, found)
    except TooLarge as error:
        return _answer({"error": str(error)}, 413)
    except Unprocessable as error:
        return _answer({"error": str(error)}, 400)
    count(service, found, rows, labels)
    return _answer(answer)


def _find(service: Service, name: str, version: str) -> Model | Response:
    model = service.model
    if model is None:
        return _answer({"error": f"no model to answer with: {service.why_not}"}, 503)
    if name != model.version.name or version not in ("", model.version.version):
        return _answer({"error": f"model {name!r} {version} is not served"}, 404)
    return model


def _metadata(model: Model) -> dict[str, Any]:
    return {
        "name": model.version.name,
        "versions": [model.version.version],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, len(model.names)]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(model.classes)]},
        ],
    }


def _infer(body: bytes, model: Model) -> tuple[Rows, npt.NDArray[np.int64], dict[str, Any]]:
    request = bodies.decode(body)
    rows, wanted = _rows(request, model), _wanted(request)
    labels, probabilities = model.predict(rows)
    shape = list(probabilities.shape)
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": shape[:1], "data": labels.tolist()},
        {"name": "probabilities", "datatype": "FP64", "shape": shape, "data": probabilities.ravel().tolist()},
    ]
    answer = {
        "model_name": model.version.name,
        "model_version": model.version.version,
        "outputs": [output for output in outputs if not wanted or output["name"] in wanted],
        "parameters": {"run_id": model.version.run_id},
    }
    return rows, labels, answer | ({"id": str(request["id"])} if "id" in request else {})


def _wanted(request: dict[str, Any]) -> set[str]:
    try:
        names = {str(output["name"]) for output in request.get("outputs") or []}
    except (TypeError, KeyError) as error:
        raise _wrong("outputs must be a list of {name}") from error
    if names - {"label", "probabilities"}:
        raise _wrong("the outputs are label and probabilities")
    return names


def _rows(request: Any, model: Model) -> Rows:
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise _wrong("give one input, 'features'")
    tensor = inputs[0]
    if tensor.get("name") != "features" or tensor.get("datatype") not in ("FP64", "FP32"):
        raise _wrong("the input is 'features' of datatype FP64 or FP32")
    shape, width = tensor.get("shape"), len(model.names)
    if not isinstance(shape, list) or len(shape) != 2 or shape[1] != width or type(shape[0]) is not int or shape[0] < 1:
        raise _wrong(f"the input's shape is [rows, {width}]")
    if shape[0] > MOST_ROWS:
        raise TooLarge(f"{shape[0]} rows; at most {MOST_ROWS}")
    return _tensor(tensor.get("data"), shape, model)


def _tensor(data: Any, shape: list[int], model: Model) -> Rows:
    nested = isinstance(data, list) and bool(data) and all(isinstance(row, list) for row in data)
    flat = [value for row in data for value in row] if nested else data
    if not isinstance(flat, list) or len(flat) != math.prod(shape):
        raise _wrong(f"data must hold {math.prod(shape)} numbers")
    if not {type(value) for value in flat} <= {int, float}:
        raise _wrong("data must hold numbers only")
    rows = np.array(flat, dtype=np.float64).reshape(shape)
    if not bool(np.all((rows >= model.low) & (rows <= model.high))):
        raise _wrong("a value is out of the range that GET /model gives")
    return rows


def _wrong(message: str) -> Unprocessable:
    return Unprocessable([{"loc": ["body"], "msg": message, "type": "v2"}])


def _answer(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
