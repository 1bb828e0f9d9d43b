"""The application around a page: headers, static files, hosts, and a cluster that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from kubeflow_lite import health
from kubeflow_lite.pipelines.view import view
from kubeflow_lite.web import pages, words
from kubeflow_lite.web.recent import Recent


async def variables() -> dict[str, object]:
    at = words.moment("2026-11-22T12:00:00Z")
    assert at is not None
    return {"title": "Pipelines", "subtitle": "training Jobs and runs", "view": view([], [], at=at)}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with health.serving(
        pages.application("pipelines.html", variables, hosts=["lab.example"]), "127.0.0.1", 0
    ) as port:
        yield f"http://127.0.0.1:{port}"


async def fetch(url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), {str(key): value for key, value in response.headers.items()}


async def test_the_page_and_its_fragment(url: str) -> None:
    status, page, headers = await fetch(url + "/")
    assert status == 200
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, fragment, _ = await fetch(url + "/?fragment")
    assert status == 200
    assert fragment.strip() in page


@pytest.mark.parametrize("path", ["static/style.css", "static/live.js", "healthz", "readyz"])
async def test_what_the_page_needs_is_served_here(url: str, path: str) -> None:
    assert (await fetch(f"{url}/{path}"))[0] == 200


@pytest.mark.parametrize("path", ["static/../pages.py", "static/%2e%2e/pages.py", "nothing"])
async def test_nothing_else_is(url: str, path: str) -> None:
    assert (await fetch(f"{url}/{path}"))[0] in (403, 404)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:30082", True),
        ("[::1]:80", True),
        ("10.0.0.7", True),
        ("localhost:30082", True),
        ("centraldashboard", True),
        ("centraldashboard.kubeflow.svc.cluster.local:80", True),
        ("lab.example", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:30082", False),
        ("svc.cluster.local.evil.example", False),
    ],
)
async def test_only_known_hosts(url: str, host: str, known: bool) -> None:
    assert pages.known_host(host, ["lab.example"]) is known
    assert (await fetch(url + "/", Host=host))[0] == (200 if known else 403)


async def test_a_cluster_that_does_not_answer_is_a_503_in_words() -> None:
    async def down() -> dict[str, object]:
        raise pages.Unavailable("the cluster does not answer")

    async with health.serving(pages.application("pipelines.html", down), "127.0.0.1", 0) as port:
        status, text, headers = await fetch(f"http://127.0.0.1:{port}/")
    assert (status, text) == (503, "the cluster does not answer\n")
    assert headers["Retry-After"] == "3"


async def test_many_readers_cost_one_reading() -> None:
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return made

    recent = Recent(make, seconds=60)
    assert await asyncio.gather(*(recent.get() for _ in range(20))) == [1] * 20
    stale = Recent(make, seconds=-1)
    assert (await stale.get(), await stale.get()) == (2, 3)


async def test_probes() -> None:
    ready = False
    async with health.serving(health.application(lambda: ready), "127.0.0.1", 0) as port:
        assert (await fetch(f"http://127.0.0.1:{port}/healthz"))[0] == 200
        assert (await fetch(f"http://127.0.0.1:{port}/readyz"))[0] == 503
        ready = True
        assert (await fetch(f"http://127.0.0.1:{port}/readyz"))[0] == 200
