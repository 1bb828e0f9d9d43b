"""The short way of POST /predict holds what OpenAPI says: compared with the same service written by FastAPI's book.

There, pydantic models made for the model in service read the request and a response model writes the answer. Both get the same bodies, made up at
random: they must accept the same ones, answer the same, and complain about the same places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union

import httpx
import numpy as np
import pytest
from fastapi import Body, FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Discriminator, Tag

from serving import schemas
from serving.app import application, create
from serving.model import Model
from serving.service import Service
from serving.settings import Settings
from tests.serving.conftest import Shelf, files

ROW = [5.1, 3.5, 1.4, 0.2]
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]

numbers = st.one_of(
    st.floats(0, 9, width=32),
    st.integers(-2, 30),
    st.sampled_from([0, 0.0, -0.0, 25.9, 25.900000000000002, 13.0, 36.4, 14.5, 2**63, 2**64, 10**30]),
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*NAMES, "features", "x"]), inner),
    max_leaves=6,
)
lists = st.lists(numbers, min_size=4, max_size=4) | st.lists(numbers | anything, max_size=5)
values = numbers | anything
named = st.fixed_dictionaries({}, optional=dict.fromkeys([*NAMES, "extra"], values))
named |= st.fixed_dictionaries(dict.fromkeys(NAMES, numbers))
bodies = st.one_of(st.fixed_dictionaries({"features": lists | anything}), named, anything)


def by_the_book(model: Model) -> FastAPI:
    """POST /predict as FastAPI's documentation would have it."""
    listed, by_name = schemas.one(model)

    def form(body: Any) -> str:
        return "list" if isinstance(body, Mapping) and "features" in body else "names"

    forms = Union.__getitem__((Annotated[listed, Tag("list")], Annotated[by_name, Tag("names")]))

    async def predict(body: BaseModel) -> Any:
        dumped = body.model_dump()
        row = dumped["features"] if "features" in dumped else list(dumped.values())
        label, probabilities = model.run(np.array([row], dtype=np.float64))
        return {
            "prediction": model.classes[label[0]],
            "class_id": int(label[0]),
            "probabilities": dict(zip(model.classes, probabilities[0].tolist(), strict=True)),
            "model": model.identity,
            "request_id": "",
        }

    predict.__annotations__["body"] = Annotated[forms, Discriminator(form), Body()]
    app = FastAPI()
    app.post("/predict", response_model=schemas.Prediction)(predict)
    return app


class Both:
    """The two services, asked without a network in between."""

    def __init__(self) -> None:
        shelf = Shelf()
        shelf.put("1", files())
        self.service = Service(Settings(tracking_uri="http://mlflow", poll=3600), shelf)
        self.runner = asyncio.Runner()
        self.runner.run(self.service.look())
        assert self.service.model is not None
        self.short, self.book = create(self.service), by_the_book(self.service.model)

    def ask(self, app: Any, body: Any) -> httpx.Response:
        async def post() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                return await client.post("/predict", json=body)

        return self.runner.run(post())


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    made = Both()
    yield made
    made.runner.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=bodies)
@example(body={"features": ROW})
@example(body={"features": ROW, "sepal_length": "ignored"})
@example(body={"features": None} | dict(zip(NAMES, ROW, strict=True)))
@example(body=dict(zip(NAMES, ROW, strict=True)) | {"extra": [1]})
@example(body=ROW)
@example(body={"features": [*ROW[:3], 14.500000000000002]})
def test_the_short_way_and_fastapis_own_agree(both: Both, body: Any) -> None:
    ours, book = both.ask(both.short, body), both.ask(both.book, body)
    assert ours.status_code == book.status_code, (ours.text, book.text)
    if ours.status_code == 200:
        assert ours.json() | {"request_id": ""} == book.json()
        return
    assert ours.status_code == 422
    schemas.Wrong.model_validate(ours.json())
    if isinstance(body, dict) and not ("features" in body and is_no_row(body["features"])):
        assert places(ours) == places(book)


def is_no_row(found: Any) -> bool:
    """Pydantic complains of a list's missing values one by one; ours says once how many there should be."""
    return not isinstance(found, list) or len(found) != 4


def places(answer: httpx.Response) -> list[list[Any]]:
    """Where the complaints are; pydantic's name the form of the body too."""
    found = [detail["loc"] for detail in answer.json()["detail"]]
    return sorted([step for step in loc if step not in ("list", "names")] for loc in found)


async def test_fastapis_route_and_the_short_way_answer_alike(client: httpx.AsyncClient, shelf: Shelf) -> None:
    service = Service(Settings(tracking_uri="http://mlflow"), shelf)
    await service.look()
    plain = application(service)

    async def with_id(scope: Any, receive: Any, send: Any) -> None:
        await plain(scope | {"request_id": "7"}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(with_id), base_url="http://test") as other:
        for content in [b'{"features": [5.1, 3.5, 1.4, 0.2]}', b"{", b'{"features": [1]}', b"1" * 70_000]:
            headers = {"x-request-id": "7"}
            short = await client.post("/predict", content=content, headers=headers)
            long = await other.post("/predict", content=content)
            assert (short.status_code, short.json()) == (long.status_code, long.json())


async def test_answers_are_what_openapi_says(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["info"]["title"] == "iris-serving"
    for path, kind in (("/predict", schemas.Prediction), ("/predict/batch", schemas.BatchPrediction)):
        described = document["paths"][path]["post"]
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        for form in schema["anyOf"]:
            for body in form.get("examples", []):
                answer = await client.post(path, json=body)
                assert answer.status_code == 200
                kind.model_validate(answer.json(), strict=True, extra="forbid")
        assert set(described["responses"]) == {"200", "413", "422", "503"}
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    (body,) = infer["requestBody"]["content"]["application/json"]["schema"]["examples"]
    answer = await client.post("/v2/models/iris/infer", json=body)
    schemas.InferAnswer.model_validate(answer.json(), extra="forbid")


async def test_openapi_names_the_ranges_of_the_model_in_service(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    listed, named = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "anyOf"
    ]
    model = (await client.get("/model")).json()
    for number, feature in enumerate(model["features"]):
        for schema in (listed["properties"]["features"]["prefixItems"][number], named["properties"][feature["name"]]):
            assert (schema["minimum"], schema["maximum"]) == (feature["min"], feature["max"])
    assert named["required"] == NAMES


async def test_before_a_model_openapi_is_served_too(shelf: Shelf) -> None:
    app = create(Service(Settings(tracking_uri="http://mlflow"), shelf))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert "/predict" in (await client.get("/openapi.json")).json()["paths"]
