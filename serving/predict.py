"""What POST /predict and POST /predict/batch answer: a body's bytes in, the answer's bytes out, whoever carries them.

Both FastAPI's routes and the short way around FastAPI (`serving.edge`) end here, so they cannot differ. No response model on the way: orjson
writes the answer, and a test holds it against the schemas that OpenAPI shows.
"""

from __future__ import annotations

import asyncio

import numpy as np
import numpy.typing as npt
import orjson

from serving import bodies
from serving.bodies import TooLarge, Unprocessable
from serving.model import Model, Rows
from serving.service import Service

# A batch of this many bytes is left to a thread, so that single rows do not wait behind it.
_LARGE = 8 * 1024


class NotReady(Exception):
    """503: there is no model to answer with."""


PROBLEMS = (Unprocessable, TooLarge, NotReady)


def problem(error: Exception, request_id: str) -> tuple[int, bytes]:
    """Status and body for one of PROBLEMS."""
    status = {Unprocessable: 422, TooLarge: 413, NotReady: 503}[type(error)]
    detail = error.details if isinstance(error, Unprocessable) else str(error)
    return status, orjson.dumps({"detail": detail, "request_id": request_id})


def in_service(service: Service) -> Model:
    """The model, or NotReady with the reason in words."""
    if service.model is None:
        raise NotReady(f"no model to answer with: {service.why_not}")
    return service.model


def one(service: Service, body: bytes, request_id: str) -> bytes:
    """The class of one row. Raises one of PROBLEMS."""
    model = in_service(service)
    values = bodies.one(body, model)
    number, probabilities = model.one(values)
    label = model.classes[number]
    service.metrics.predictions_of(label).inc()
    if service.drift and service.model is model:
        service.drift.one(values)
    answer = {
        "prediction": label,
        "class_id": number,
        "probabilities": dict(zip(model.classes, probabilities, strict=True)),
        "model": model.identity,
        "request_id": request_id,
    }
    return orjson.dumps(answer)


async def many(service: Service, body: bytes, request_id: str) -> bytes:
    """The classes of a batch. Raises one of PROBLEMS."""
    model = in_service(service)
    if len(body) > _LARGE:
        rows, labels, answer = await asyncio.to_thread(_batch, body, model, request_id)
    else:
        rows, labels, answer = _batch(body, model, request_id)
    count(service, model, rows, labels)
    return answer


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


def count(service: Service, model: Model, rows: Rows, labels: npt.NDArray[np.int64]) -> None:
    """In the metrics, and against the training data."""
    for number, seen in enumerate(np.bincount(labels, minlength=len(model.classes)).tolist()):
        if seen:
            service.metrics.predictions_of(model.classes[number]).inc(seen)
    if service.drift and service.model is model:
        service.drift.many(rows)
