"""The routes that answer with classes, over HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving.conftest import files

ROW = [5.1, 3.5, 1.4, 0.2]
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


async def test_a_list_and_names_give_the_same_answer(client: httpx.AsyncClient) -> None:
    first = await client.post("/predict", json={"features": ROW})
    second = await client.post("/predict", json=dict(zip(NAMES, ROW, strict=True)))
    assert first.status_code == 200
    answer = first.json()
    assert answer["prediction"] == "setosa"
    assert answer["class_id"] == 0
    assert list(answer["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["model"] == {"name": "iris", "version": "1", "run_id": "run-1"}
    assert answer | {"request_id": ""} == second.json() | {"request_id": ""}


async def test_golden_rows_get_the_probabilities_of_the_training(client: httpx.AsyncClient) -> None:
    for golden in json.loads(files().profile)["golden"]:
        answer = (await client.post("/predict", json={"features": golden["features"]})).json()
        np.testing.assert_allclose(list(answer["probabilities"].values()), golden["probabilities"], atol=1e-12)


async def test_the_request_id_comes_back_or_is_made(client: httpx.AsyncClient) -> None:
    given = await client.post("/predict", json={"features": ROW}, headers={"X-Request-ID": "mine-7"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "mine-7"
    made = await client.post("/predict", json={"features": [1]}, headers={"X-Request-ID": "x" * 500})
    assert made.headers["x-request-id"] == made.json()["request_id"]
    assert len(made.headers["x-request-id"]) == 32


WRONG: list[tuple[Any, list[str | int], str]] = [
    ({"features": ROW[:3]}, ["features"], "3 values, but the model takes 4"),
    ({"features": [*ROW, 1]}, ["features"], "5 values, but the model takes 4"),
    ({"features": []}, ["features"], "0 values"),
    ({"features": [5.1, 3.5, 1.4, "0.2"]}, ["features", 3], 'petal_width must be a number, not "0.2"'),
    ({"features": [5.1, 3.5, 1.4, None]}, ["features", 3], "petal_width must be a number, not null"),
    ({"features": [5.1, 3.5, 1.4, True]}, ["features", 3], "petal_width must be a number, not true"),
    ({"features": [5.1, 3.5, 1.4, [0.2]]}, ["features", 3], "petal_width must be a number, not [0.2]"),
    ({"features": [5000, 3.5, 1.4, 0.2]}, ["features", 0], "sepal_length must be from 0 to 25.9, not 5000"),
    ({"features": [-0.1, 3.5, 1.4, 0.2]}, ["features", 0], "sepal_length must be from 0 to 25.9, not -0.1"),
    ({"features": 10**300}, ["features"], "give a list of 4 numbers"),
    ({"features": "5.1,3.5,1.4,0.2"}, ["features"], "give a list of 4 numbers"),
    ({"features": None}, ["features"], "give a list of 4 numbers"),
    (dict(zip(NAMES[:3], ROW, strict=False)), ["petal_width"], "petal_width is missing"),
    (dict(zip(NAMES, [1, 1, 1, "x"], strict=True)), ["petal_width"], "petal_width must be a number"),
    (ROW, [], 'give an object: {"features": ['),
    ("hello", [], 'give an object: {"features": ['),
    ({"features": None} | dict(zip(NAMES, ROW, strict=True)), ["features"], "give a list of 4 numbers"),
    ({}, ["sepal_length"], "sepal_length is missing"),
]


@pytest.mark.parametrize(("body", "where", "message"), WRONG)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, body: Any, where: list[str | int], message: str
) -> None:
    answer = await client.post("/predict", json=body)
    assert answer.status_code == 422
    first = answer.json()["detail"][0]
    assert first["loc"] == ["body", *where]
    assert message in first["msg"]


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", '{"features": [NaN, 1, 1, 1]}', '{"features": [1e999, 1, 1, 1]}', "\xff"]
)
@pytest.mark.parametrize("route", ["/predict", "/predict/batch"])
async def test_what_is_not_json_is_said_to_be(client: httpx.AsyncClient, route: str, text: str) -> None:
    answer = await client.post(route, content=text.encode("latin-1"))
    assert answer.status_code == 422
    assert "the body is not JSON" in answer.json()["detail"][0]["msg"]


async def test_a_body_without_end_is_cut_off(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict", content=b'{"features": [' + b"1," * 40_000)
    assert (answer.status_code, answer.json()["detail"]) == (413, "the body has more than 65536 bytes")


async def test_a_batch_keeps_its_order(client: httpx.AsyncClient) -> None:
    rows = [ROW, [6.7, 3.0, 5.2, 2.3], [5.9, 2.8, 4.2, 1.3]]
    answer = (await client.post("/predict/batch", json={"features": rows})).json()
    assert answer["predictions"] == ["setosa", "virginica", "versicolor"]
    assert answer["classes"] == ["setosa", "versicolor", "virginica"]
    assert np.array(answer["probabilities"]).argmax(axis=1).tolist() == [0, 2, 1]
    named = [dict(zip(NAMES, row, strict=True)) for row in rows]
    for body in ({"instances": named}, {"instances": rows}, rows):
        assert (await client.post("/predict/batch", json=body)).json()["probabilities"] == answer["probabilities"]


async def test_ten_thousand_rows_are_answered_and_one_more_refused(client: httpx.AsyncClient) -> None:
    started = time.perf_counter()
    answer = await client.post("/predict/batch", json={"features": [ROW] * 10_000})
    assert answer.status_code == 200
    assert len(answer.json()["probabilities"]) == 10_000
    assert time.perf_counter() - started < 10
    more = await client.post("/predict/batch", json={"features": [ROW] * 10_001})
    assert (more.status_code, more.json()["detail"]) == (413, "10001 rows; a batch has at most 10000")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"features": [ROW, [1, 2, 3]]}, [1]),
        ({"features": [ROW, ROW, [1, "2", 3, 4]]}, [2, 1]),
        ({"features": [ROW, [1, True, 3, 4]]}, [1, 1]),
        ({"features": [ROW, [1, 99, 3, 4]]}, [1, 1]),
        ({"features": [ROW, 7]}, [1]),
        ({"features": ROW}, [0]),
        ({"instances": [dict(zip(NAMES, ROW, strict=True)), {"sepal_length": 1}]}, [1, "sepal_width"]),
        ({"features": []}, ["features"]),
        ({"features": "x"}, ["features"]),
        ({}, ["features"]),
        (7, ["features"]),
    ],
)
async def test_a_batchs_wrong_row_is_named(client: httpx.AsyncClient, body: Any, where: list[str | int]) -> None:
    answer = await client.post("/predict/batch", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", *where]


async def test_a_batch_of_nonsense_has_few_words(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict/batch", json={"features": [["x"] * 4] * 1000})
    assert len(answer.json()["detail"]) == 10


async def test_openapi_shows_examples_of_both_forms(client: httpx.AsyncClient) -> None:
    found = (await client.get("/openapi.json")).json()
    body = found["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert [schema["title"] for schema in body["anyOf"]] == ["FeatureList", "NamedFeatures"]
    golden = json.loads(files().profile)["golden"][0]["features"]
    assert [schema["examples"] for schema in body["anyOf"]] == [
        [{"features": golden}],
        [dict(zip(NAMES, golden, strict=True))],
    ]
    for schema in body["anyOf"]:
        assert (await client.post("/predict", json=schema["examples"][0])).status_code == 200
    assert set(found["paths"]["/predict"]["post"]["responses"]) == {"200", "413", "422", "503"}
