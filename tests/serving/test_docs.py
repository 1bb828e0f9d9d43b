"""The page at /docs and what it is made of: true for the model in service, and whole without a network."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


async def test_every_reference_of_openapi_leads_somewhere(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).text
    known = json.loads(text)["components"]["schemas"]
    references = set(re.findall(r'"\$ref":\s*"([^"]*)"', text))
    assert "#/components/schemas/Tensor" in references
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(known)


async def test_the_documentations_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    found = await client.get("/docs")
    assert found.headers["content-type"].startswith("text/html")
    assert "connect-src 'self'" in found.headers["content-security-policy"]
    assert "//" not in re.sub(r"^\s*//.*$", "", found.text, flags=re.MULTILINE), "an address of another host"
    assert set(re.findall(r'(?:src|href)="([^"]*)"', found.text)) == {"data:,", "openapi.json"}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (apt install chromium)")
@pytest.mark.timeout(120)
async def test_a_browser_shows_every_route_with_its_example(client: httpx.AsyncClient, tmp_path: Path) -> None:
    alone = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--disable-extensions"]
    browser = await asyncio.create_subprocess_exec(
        str(CHROMIUM),
        *alone,
        "--virtual-time-budget=5000",
        "--dump-dom",
        f"{client.base_url}/docs",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    page = (await browser.communicate())[0].decode()
    assert "Model iris, version 1 (run run-1)" in page
    for path in (await client.get("/openapi.json")).json()["paths"]:
        assert f"<code>{path}</code>" in page
    (example,) = re.findall(r"<pre>curl -s (\S+/predict) .*? -d '(.*?)'</pre>", page)
    assert (await client.post(example[0], content=example[1])).status_code == 200
