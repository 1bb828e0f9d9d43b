"""Following the alias: what is taken into service, what is refused, and what is served when things are down."""

from __future__ import annotations

import asyncio
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.errors import NoChampion, Unreachable
from serving.registry import Files
from serving.service import Service
from serving.settings import Settings
from tests.serving.conftest import Shelf, files, poisoned, serving

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


async def test_before_any_model_ready_is_503_and_predict_says_so(
    shelf: Shelf, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(settings, shelf)
    async with serving(service) as client:
        await service.look()
        words = "no model to answer with: no model 'iris' with alias 'champion' is registered"
        for answer in [await client.get("/ready"), await client.post("/predict", json=ROW), await client.get("/model")]:
            assert (answer.status_code, answer.json()["detail"]) == (503, words)
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/v2/health/ready")).status_code == 503
    requests = [line for line in map(json.loads, caplog.messages) if line.get("event") == "request"]
    assert [(line["path"], line["status"]) for line in requests] == [("/predict", 503), ("/model", 503)]
    assert all(len(line["request_id"]) == 32 and line["ms"] >= 0 for line in requests)


async def test_a_new_champion_is_taken_while_requests_go_on(shelf: Shelf, settings: Settings) -> None:
    shelf.put("1", files())
    service = Service(replace(settings, poll=0.01), shelf)
    async with serving(service) as client:
        while service.model is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        seen: list[tuple[int, str]] = []

        async def ask() -> None:
            while not seen or seen[-1][1] != "2":
                answer = await client.post("/predict", json=ROW)
                seen.append((answer.status_code, answer.json()["model"]["version"]))

        askers = [asyncio.create_task(ask()) for _ in range(4)]
        await asyncio.sleep(0)
        shelf.put("2", files(seed=7))
        await asyncio.wait_for(asyncio.gather(*askers), 30)
        assert {status for status, _ in seen} == {200}
        metrics = (await client.get("/metrics")).text
        assert 'serving_model_info{name="iris",run_id="run-2",version="2"} 1.0' in metrics
        assert 'version="1"' not in metrics
        assert "serving_model_swaps_total 2.0" in metrics


def _without(key: str) -> bytes:
    found = json.loads(files().profile)
    del found[key]
    return json.dumps(found).encode()


def _changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(files().profile) | changes).encode()


def _feature(**changes: Any) -> bytes:
    found = json.loads(files().profile)
    found["features"][0] |= changes
    return json.dumps(found).encode()


def _other_golden() -> bytes:
    found = json.loads(files().profile)
    found["golden"][0]["probabilities"] = [0.0, 0.0, 1.0]
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (poisoned(model=pickle.dumps({"not": "a model"})), "its SHA-256 differs"),
        (poisoned(model=files().model[:-100]), "its SHA-256 differs"),
        (replace(files(seed=7), profile=files().profile), "its SHA-256 differs"),
        (poisoned(profile=b"\x80\x04nonsense"), "serving.json is not what"),
        (poisoned(profile=_without("features")), "serving.json is not what"),
        (poisoned(profile=_changed(golden=[])), "no features, classes or golden rows"),
        (poisoned(profile=_other_golden()), "golden rows are answered differently"),
        (poisoned(profile=_feature(edges=["a"])), "serving.json is not what"),
        (poisoned(profile=_feature(shares=[1.0])), "histogram of feature 'sepal_length'"),
        (poisoned(profile=_feature(edges=[5, 4, 3], shares=[0, 0, 1, 0])), "histogram of feature"),
        (poisoned(profile=_feature(name="sepal_width")), "names a feature or a class twice"),
        (poisoned(profile=_changed(classes=["a", "b", 3])), "by something that is no text"),
        (poisoned(profile=_changed(classes=["a", "b"])), "2 probabilities"),
        (poisoned(profile=_changed(features=json.loads(files().profile)["features"][:3])), "3 doubles a row"),
    ],
)
async def test_a_poisoned_champion_is_refused_once_and_the_old_one_stays(
    shelf: Shelf, settings: Settings, content: Files, words: str
) -> None:
    shelf.put("1", files())
    service = Service(settings, shelf)
    await service.look()
    shelf.put("2", content)
    await service.look()
    await service.look()
    assert service.model is not None
    assert service.model.version.version == "1"
    assert service.rejected is not None
    assert service.rejected[0] == "2"
    assert words in service.rejected[1]
    assert service.metrics.registry.get_sample_value("serving_models_rejected_total") == 1
    shelf.put("3", files(seed=7))
    await service.look()
    version: str = service.model.version.version
    assert version == "3"
    assert service.metrics.registry.get_sample_value("serving_models_rejected_total") == 1


async def test_an_onnx_file_that_is_none_is_refused_though_its_digest_fits(shelf: Shelf, settings: Settings) -> None:
    import hashlib

    broken = files().model[:2000]
    shelf.put("1", Files(profile=_changed(model_sha256=hashlib.sha256(broken).hexdigest()), model=broken))
    service = Service(settings, shelf)
    await service.look()
    assert service.model is None
    assert "no ONNX model this runtime takes" in service.why_not


async def test_whatever_goes_wrong_in_a_look_the_next_one_comes(shelf: Shelf, settings: Settings) -> None:
    shelf.put("1", files())
    shelf.down = RuntimeError("nobody thought of this")
    service = Service(replace(settings, poll=0.01), shelf)
    task = asyncio.create_task(service.follow())
    while shelf.looks < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert "nobody thought of this" in service.why_not
    shelf.down = None
    while service.model is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()


@pytest.mark.parametrize("part", ["down", "broken"])
async def test_with_mlflow_or_s3_down_the_model_stays_and_is_followed_again_later(
    shelf: Shelf, settings: Settings, part: str
) -> None:
    shelf.put("1", files())
    service = Service(settings, shelf)
    await service.look()
    shelf.put("2", files(seed=7))
    setattr(shelf, part, Unreachable("HTTP 503"))
    await service.look()
    assert service.model is not None
    assert service.model.version.version == "1"
    assert service.metrics.registry.get_sample_value("serving_registry_up") == 0
    setattr(shelf, part, None)
    await service.look()
    assert service.model.version.version == "2"


async def test_a_start_without_mlflow_serves_the_last_good_model(
    shelf: Shelf, settings: Settings, tmp_path: Path
) -> None:
    settings = replace(settings, caches=(Path("/proc/nowhere"), tmp_path / "models"))
    shelf.put("1", files())
    await Service(settings, shelf).look()
    shelf.down = Unreachable("connection refused")
    service = Service(settings, shelf)
    await service.look()
    assert service.model is not None
    assert (service.model.version.version, service.from_cache) == ("1", True)
    shelf.down = None
    await service.look()
    assert not service.from_cache


async def test_a_cached_model_is_given_up_when_mlflow_knows_no_champion(
    shelf: Shelf, settings: Settings, tmp_path: Path
) -> None:
    settings = replace(settings, caches=(tmp_path,))
    shelf.put("1", files())
    await Service(settings, shelf).look()
    shelf.down = Unreachable("connection refused")
    service = Service(settings, shelf)
    await service.look()
    shelf.down = NoChampion("no model 'iris' with alias 'champion' is registered")
    await service.look()
    assert service.model is None


async def test_a_champion_deleted_while_it_is_served_stays(shelf: Shelf, settings: Settings) -> None:
    shelf.put("1", files())
    service = Service(settings, shelf)
    await service.look()
    shelf.champion_version = ""
    await service.look()
    assert service.model is not None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": {}, "profile": "!", "model": ""}'])
async def test_a_damaged_cache_is_as_good_as_none(
    shelf: Shelf, settings: Settings, tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / "iris.json").write_bytes(damage)
    shelf.down = Unreachable("connection refused")
    service = Service(replace(settings, caches=(tmp_path,)), shelf)
    await service.look()
    assert service.model is None


async def test_while_it_drains_it_answers_but_is_not_ready_and_closes_connections(
    client: httpx.AsyncClient, shelf: Shelf, settings: Settings
) -> None:
    service = Service(settings, shelf)
    await service.look()
    async with serving(service) as other:
        service.draining = True
        assert (await other.get("/ready")).status_code == 503
        answer = await other.post("/predict", json=ROW)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert "connection" not in (await client.post("/predict", json=ROW)).headers
