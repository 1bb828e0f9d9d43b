"""Real Chromium against the real dashboard on a real API server; only what the lab's agent and a serving pod would say is made up here.

Playwright's synchronous interface keeps an event loop running in this thread, which asynchronous tests elsewhere could not share: it is
started after everything that needs a loop, and stopped with the last test of this folder.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lab import ui
from lab.benches.classroom import CLASS, World
from lab.kube import Cluster as Api
from tests.kubeflow_lite.conftest import ROOT, Cluster, cluster

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = ROOT / "test-output" / "ui"

__all__ = ["cluster"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs chromium and Playwright's Python package")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One reason for all where a browser or its driver is missing."""
    lacking = None if CHROMIUM else "no chromium on PATH (apt install chromium)"
    if find_spec("playwright") is None:
        lacking = "playwright is not installed (uv pip install playwright)"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if lacking:
                item.add_marker(pytest.mark.skip(reason=lacking))


class Metrics(BaseHTTPRequestHandler):
    """A serving pod as far as Prometheus can see: `asked` predictions in all, each in less than 5 ms."""

    asked = 0

    def do_GET(self) -> None:
        labels = 'route="/predict"'
        lines = [f'serving_request_seconds_bucket{{le="{le}",{labels}}} {self.asked}.0' for le in ("0.005", "+Inf")]
        lines += [f"serving_request_seconds_count{{{labels}}} {self.asked}.0", ""]
        body = "\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests have nobody to read it."""


@pytest.fixture(scope="package")
def serving_pod() -> Iterator[int]:
    """The port of a serving pod's metrics."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="package")
def world(cluster: Cluster, serving_pod: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A class of tenants, all green, and the dashboard in front of it with no more rights than its manifest gives."""
    folder = tmp_path_factory.mktemp("ui")
    made = World(Api(cluster.kubeconfig), folder)
    made.populate(CLASS, serving_pod)
    with cluster.program("dashboard", folder / "log", made.account("centraldashboard")) as process:
        made.port = listening(process, folder / "log")
        yield made


def listening(process: subprocess.Popen[bytes], log: Path) -> int:
    from tests.kubeflow_lite.test_programs_cluster import listening as port_of

    return port_of(process, log)


@pytest.fixture(scope="package")
def browser(world: World) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Visitor:
    """A browser window of somebody; what its console complained of must be empty in the end."""

    def __init__(self, browser: Any, world: World, **options: Any) -> None:
        self.world = world
        size = {"width": 1920, "height": 1080}
        self.context = browser.new_context(**{"viewport": size, "locale": "en-US", **options})
        self.context.set_default_timeout(45_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on(
            "console", lambda one: self.complaints.append(one.text) if one.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._require_own)

    def _require_own(self, request: Any) -> None:
        """The page works offline: nothing is fetched from anywhere else."""
        if not request.url.startswith((f"{self.world.url}/", "data:", "about:", "blob:")):
            self.complaints.append(f"asks for {request.url}")

    def sign_in(self, namespace: str = "kubeflow", account: str = "instructor") -> Any:
        code = ui._code(self.world.port, ui.token(self.world.api, namespace, account), patience=60)
        self.page.goto(f"{self.world.url}/sign-in#{code}")
        self.page.wait_for_url(lambda url: "sign-in" not in url)
        self.page.locator("#live:not(:empty):not(.off)").wait_for()
        return self.page

    def picture(self, name: str, **options: Any) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", **options)


@pytest.fixture
def visitor(browser: Any, world: World) -> Iterator[Any]:
    """`visitor(**options)` opens a window; all are closed at the end, and none may have complained."""
    opened: list[Visitor] = []

    def come(**options: Any) -> Visitor:
        opened.append(Visitor(browser, world, **options))
        return opened[-1]

    yield come
    for one in opened:
        one.context.close()
    assert [text for one in opened for text in one.complaints] == []
