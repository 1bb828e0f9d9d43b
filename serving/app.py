"""The routes. On the way of a prediction there is no response model and no dependency injection: bytes in, orjson out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from serving import bodies, schemas, v2
from serving.bodies import TooLarge, Unprocessable
from serving.edge import Edge
from serving.model import Model, Rows
from serving.service import Service
from serving.settings import BATCH_BYTES, ONE_ROW_BYTES

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    413: {"model": schemas.Problem},
    422: {"model": schemas.Wrong},
    503: {"model": schemas.Problem, "description": "no model has been loaded"},
}
# A batch of this many bytes is left to a thread, so that single rows do not wait behind it.
_LARGE = 8 * 1024


class NotReady(Exception):
    """503: there is no model to answer with."""


def create(service: Service) -> ASGIApp:
    """The whole application; `service.follow` runs as long as it does."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(service.follow())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    title, about = "iris-serving", "The registry's champion behind HTTP."
    app = FastAPI(title=title, version="1", description=about, lifespan=lifespan, redoc_url=None)
    _one(app, service)
    _many(app, service)
    _state(app, service)
    _model(app, service)
    v2.add(app, service)
    _errors(app)
    return Edge(app, service)


def in_service(service: Service) -> Model:
    """The model, or NotReady with the reason in words."""
    if service.model is None:
        raise NotReady(f"no model to answer with: {service.why_not}")
    return service.model


async def read(request: Request, most: int) -> bytes:
    """The body; TooLarge as soon as it is."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLarge(f"the body has more than {most} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _one(app: FastAPI, service: Service) -> None:
    takes = schemas.takes(schemas.FeatureList, schemas.NamedFeatures)

    @app.post("/predict", responses={200: {"model": schemas.Prediction}, **_PROBLEMS}, openapi_extra=takes)
    async def predict(request: Request) -> Response:
        """The class of one flower."""
        model = in_service(service)
        values = bodies.one(await read(request, ONE_ROW_BYTES), model)
        number, probabilities = model.one(values)
        label = model.classes[number]
        service.metrics.predictions.labels(label).inc()
        if service.drift and service.model is model:
            service.drift.one(values)
        return _json(
            {
                "prediction": label,
                "class_id": number,
                "probabilities": dict(zip(model.classes, probabilities, strict=True)),
                "model": model.identity,
                "request_id": request.scope["request_id"],
            }
        )


def _many(app: FastAPI, service: Service) -> None:
    takes = schemas.takes(schemas.Batch)

    @app.post("/predict/batch", responses={200: {"model": schemas.BatchPrediction}, **_PROBLEMS}, openapi_extra=takes)
    async def predict_batch(request: Request) -> Response:
        """The classes of up to 10,000 flowers."""
        model, request_id = in_service(service), request.scope["request_id"]
        body = await read(request, BATCH_BYTES)
        if len(body) > _LARGE:
            rows, labels, answer = await asyncio.to_thread(_batch, body, model, request_id)
        else:
            rows, labels, answer = _batch(body, model, request_id)
        _count(service, model, rows, labels)
        return Response(answer, media_type="application/json")


def _batch(body: bytes, model: Model, request_id: str) -> tuple[Rows, npt.NDArray[np.int64], bytes]:
    rows = bodies.batch(body, model)
    labels, probabilities = model.predict(rows)
    classes = model.classes
    answer = {
        "predictions": [classes[number] for number in labels.tolist()],
        "classes": classes,
        "probabilities": probabilities,
        "model": model.identity,
        "request_id": request_id,
    }
    return rows, labels, orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _count(service: Service, model: Model, rows: Rows, labels: npt.NDArray[np.int64]) -> None:
    for number, seen in enumerate(np.bincount(labels, minlength=len(model.classes)).tolist()):
        if seen:
            service.metrics.predictions.labels(model.classes[number]).inc(seen)
    if service.drift and service.model is model:
        service.drift.many(rows)


def _state(app: FastAPI, service: Service) -> None:
    @app.get("/health")
    async def health() -> Response:
        """The process lives."""
        return _json({"status": "ok"})

    @app.get("/ready", responses={503: {"model": schemas.Problem}})
    async def ready() -> Response:
        """A model is loaded, and this process is not on its way out."""
        model = in_service(service)
        if service.draining:
            raise NotReady("this process is ending")
        return _json({"status": "ready", "model": model.identity, "from_cache": service.from_cache})

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _model(app: FastAPI, service: Service) -> None:
    @app.get("/model", responses={503: {"model": schemas.Problem}})
    async def model() -> Response:
        """Which model answers, what it takes, and why a newer one does not."""
        found, rejected = in_service(service), service.rejected
        features = [
            {"name": one.name, "min": one.low, "max": one.high, "trained_on": [one.min, one.max]}
            for one in found.profile.features
        ]
        return _json(
            {
                **found.identity,
                "alias": service.settings.alias,
                "classes": found.classes,
                "features": features,
                "sha256": found.profile.sha256,
                "from_cache": service.from_cache,
                "rejected": {"version": rejected[0], "reason": rejected[1]} if rejected else None,
                "drift": service.drift.index() if service.drift else {},
            }
        )


def _errors(app: FastAPI) -> None:
    def answer(status: int, detail: object, request: Request) -> Response:
        return _json({"detail": detail, "request_id": request.scope["request_id"]}, status)

    @app.exception_handler(Unprocessable)
    async def unprocessable(request: Request, error: Unprocessable) -> Response:
        return answer(422, error.details, request)

    @app.exception_handler(TooLarge)
    async def too_large(request: Request, error: TooLarge) -> Response:
        return answer(413, str(error), request)

    @app.exception_handler(NotReady)
    async def not_ready(request: Request, error: NotReady) -> Response:
        return answer(503, str(error), request)


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
