"""The routes, and what OpenAPI says of them. On the way of a prediction there is no response model and no dependency injection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from serving import bodies, predict, schemas, v2
from serving.edge import Edge
from serving.predict import NotReady, in_service
from serving.service import Service
from serving.settings import BATCH_BYTES, ONE_ROW_BYTES

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    413: {"model": schemas.Problem, "description": "the body is too large"},
    422: {"model": schemas.Wrong, "description": "the body is not what the model takes"},
    503: {"model": schemas.Problem, "description": "no model has been loaded"},
}
_TITLE, _ABOUT = "iris-serving", "The registry's champion behind HTTP."


def create(service: Service) -> ASGIApp:
    """The whole application; `service.follow` runs as long as it does."""
    return Edge(application(service), service)


def application(service: Service) -> FastAPI:
    """The routes without the layer around them; every request's scope must have a `request_id`."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(service.follow())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(title=_TITLE, version=service.settings.release, lifespan=lifespan, docs_url=None, redoc_url=None)
    _predict(app, service)
    _state(app, service)
    _model(app, service)
    _docs(app)
    v2.add(app, service)
    _errors(app)
    app.openapi = lambda: _openapi(app, service)  # type: ignore[method-assign]
    return app


def _predict(app: FastAPI, service: Service) -> None:
    @app.post("/predict", responses={200: {"model": schemas.Prediction}, **_PROBLEMS})
    async def predict_one(request: Request) -> Response:
        """The class of one flower."""
        body = await bodies.read(request.receive, ONE_ROW_BYTES)
        return _raw(predict.one(service, body, request.scope["request_id"]))

    @app.post("/predict/batch", responses={200: {"model": schemas.BatchPrediction}, **_PROBLEMS})
    async def predict_batch(request: Request) -> Response:
        """The classes of up to 10,000 flowers."""
        body = await bodies.read(request.receive, BATCH_BYTES)
        return _raw(await predict.many(service, body, request.scope["request_id"]))


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
        """Which model answers, what it takes, why a newer one does not, and which release of this program it is."""
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
                "engine": found.engine,
                "from_cache": service.from_cache,
                "rejected": {"version": rejected[0], "reason": rejected[1]} if rejected else None,
                "drift": service.drift.index() if service.drift else {},
                "release": service.settings.release,
                "pod": service.settings.pod,
            }
        )


def _docs(app: FastAPI) -> None:
    """A page of our own: FastAPI's loads Swagger UI from elsewhere, and is blank without a network. The policy says that this one does not."""
    page = (Path(__file__).parent / "docs.html").read_bytes()
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(page, media_type="text/html", headers={"content-security-policy": policy})


def _errors(app: FastAPI) -> None:
    async def wrong(request: Request, error: Exception) -> Response:
        status, content = predict.problem(error, request.scope["request_id"])
        return _raw(content, status)

    for kind in predict.PROBLEMS:
        app.add_exception_handler(kind, wrong)


def _openapi(app: FastAPI, service: Service) -> dict[str, Any]:
    """FastAPI's document, with request bodies as the model in service takes them."""
    document = get_openapi(title=_TITLE, version=service.settings.release, description=_ABOUT, routes=app.routes)
    described, definitions = schemas.requests(service.model) if service.model else ({}, {})
    document["components"]["schemas"] |= definitions
    for path, operations in document["paths"].items():
        for end, schema in described.items():
            if path.endswith(end) and "post" in operations:
                content = {"application/json": {"schema": schema}}
                operations["post"]["requestBody"] = {"required": True, "content": content}
    return document


def _raw(content: bytes, status: int = 200) -> Response:
    return Response(content, status_code=status, media_type="application/json")


def _json(content: object) -> Response:
    return _raw(orjson.dumps(content))
