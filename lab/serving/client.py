"""`invoke predict`: ask the iris service over HTTP, as any client would."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from lab.errors import LabError
from lab.messages import mark, t
from lab.said import said

EXAMPLE = mark("for example: ./inv predict --features 5.1,3.5,1.4,0.2")
TRAIN = mark("train one: ./inv train --n-estimators 200 (and ./inv status shows what runs)")
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Prediction:
    """What the service says; `probabilities` by species, in the model's order."""

    species: str
    probabilities: dict[str, float]
    model: str
    version: str
    run_id: str


def predict_text(base_url: str, text: str) -> Prediction:
    """The prediction for "5.1,3.5,1.4,0.2"."""
    return predict(base_url, numbers(text))


def numbers(text: str) -> list[float]:
    """Finite numbers separated by commas. Raises LabError for anything else, naming the part.

    How many there must be is for the service to say: its model may have been trained on a table of one's own.
    """
    if not text.strip():
        raise LabError(t("--features needs the model's values in their order, separated by commas"), t(EXAMPLE))
    return [_number(part.strip()) for part in text.split(",")]


def _number(part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        raise LabError(t("--features: {part!r} is not a number", part=part[:40]), t(EXAMPLE)) from None
    if not math.isfinite(value):
        raise LabError(t("--features: {part!r} is not a finite number", part=part[:40]), t(EXAMPLE))
    return value


class NotReady(LabError):
    """The service has no model, or nobody answers behind its address yet."""


def predict(
    base_url: str,
    features: Sequence[float],
    *,
    patience: float = 6.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Prediction:
    """POST /predict. Raises LabError in the service's own words, with what to type.

    A service that is not ready is asked again for `patience` seconds: after the first training it takes the model within two, and its
    readiness probe lets requests through a moment later.
    """
    deadline = clock() + patience
    while True:
        try:
            return _prediction(base_url, _post(f"{base_url}/predict", body(features)))
        except NotReady:
            if clock() >= deadline:
                raise
            sleep(0.2)


def _prediction(base_url: str, answer: Any) -> Prediction:
    try:
        identity = answer["model"]
        return Prediction(
            species=answer["prediction"],
            probabilities=answer["probabilities"],
            model=identity["name"],
            version=identity["version"],
            run_id=identity["run_id"],
        )
    except (KeyError, TypeError) as error:
        raise LabError(
            t("what answers at {base_url} is not the iris service", base_url=base_url), "./inv doctor"
        ) from error


def model(base_url: str) -> Any:
    """GET /model. Raises LabError, NotReady where there is none."""
    return _ask(f"{base_url}/model")


def body(features: Sequence[float]) -> bytes:
    """A request for POST /predict."""
    return json.dumps({"features": list(features)}).encode()


def _post(url: str, content: bytes) -> Any:
    return _ask(urllib.request.Request(url, content, {"Content-Type": "application/json"}))


def _ask(request: str | urllib.request.Request) -> Any:
    url = request if isinstance(request, str) else request.full_url
    try:
        with _opener.open(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error.code, error.read()) from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise NotReady(
            t("the iris service does not answer at {url}: {why}", url=url, why=why),
            t("without a model it is not ready; {cure}", cure=t(TRAIN)),
        ) from None
    except ValueError:
        raise LabError(t("what answers at {url} is not the iris service", url=url), "./inv doctor") from None


def _refused(code: int, body: bytes) -> LabError:
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = body.decode(errors="replace")[:200]
    if isinstance(detail, str):
        detail = said(detail)
    if code == 503:
        return NotReady(t("the iris service is not ready: {detail}", detail=detail), t(TRAIN))
    if code == 422 and isinstance(detail, list):
        return LabError("; ".join(said(str(item.get("msg", item))) for item in detail), t(EXAMPLE))
    return LabError(t("the iris service answers {code}: {detail}", code=code, detail=detail), "./inv logs iris-serving")
