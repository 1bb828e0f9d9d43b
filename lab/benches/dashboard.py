"""`invoke bench dashboard`: the dashboard in Chromium, with classes of 8, 16 and 200 on a cluster of its own.

A load is what a person waits for: an empty tab, the page's address, and the first paint as the browser itself tells it, signed in before. Beside
it stand the processor milliseconds that a load costs the server and the browser, which a busy machine does not change much, and the floor: one
paragraph of a server that does nothing else, which is what browser and machine cost. Then up to 40 changes in the cluster are followed to the
cell they turn red or green, while the browser counts its tasks of more than 50 ms.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from lab import ui
from lab.benches.classroom import World as Classroom
from lab.benches.classroom import green, red
from lab.benches.rows import Row
from lab.documents import load
from lab.errors import LabError
from lab.kube import Cluster, Object, apply, manifests
from lab.messages import t
from lab.settings import ROOT
from lab.world import World

CLASSES, LOADS, CHANGES = (8, 16, 200), 20, 20
AIM = "<= 300"
_KUBEFLOW = ROOT / "k8s" / "kubeflow"
_PATIENCE = 120.0
_SETTLING = 2000.0
"""Milliseconds in which the page takes what is told of a class that has just arrived."""
TIMES = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const paint of list.getEntriesByName('first-contentful-paint')) {
    const page = performance.getEntriesByType('navigation')[0];
    done([paint.startTime, page.responseStart, page.responseEnd, page.domContentLoadedEventEnd]);
  }
}).observe({ type: 'paint', buffered: true }))"""
LONG = """() => {
  window.long = [];
  new PerformanceObserver((list) => window.long.push(...list.getEntries().map((one) => one.duration))).observe({ type: 'longtask' });
}"""


def dashboard(_: World) -> list[Row]:
    """First paint, its price, and the way of a change to the screen."""
    program = browser_program()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlops-lab-bench-")))
        api = stack.enter_context(cluster(folder))
        room = Classroom(api, folder)
        room.populate(numbers(CLASSES[0]), serving_port=1)
        server = stack.enter_context(served(room))
        window = stack.enter_context(opened(program))
        rows = [floor(stack, window)]
        window.sign_in(room)
        for size, before in zip(CLASSES, (CLASSES[0], *CLASSES), strict=False):
            window.page.goto("about:blank")
            enrol(room, numbers(size)[before:])
            rows += measured(room, window, server, size)
    return rows


def browser_program() -> str:
    """Chromium, and the package that drives it."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise LabError(t("there is no Chromium on PATH"), "apt-get install chromium")
    if find_spec("playwright") is None:
        raise LabError(t("Playwright's Python package is not installed"), "./inv test --only lint")
    return program


def numbers(size: int) -> tuple[str, ...]:
    return tuple(f"{number:02}" for number in range(1, size + 1))


def enrol(room: Classroom, more: Sequence[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(room.enrol, room.people(tuple(more))))


# What is measured


@dataclass(frozen=True)
class Load:
    """Milliseconds since the address was asked for."""

    paint: float
    answered: float
    received: float
    ready: float


@dataclass
class Window:
    """A tab of a browser that runs for this alone."""

    page: Any
    process: psutil.Process

    def sign_in(self, room: Classroom) -> None:
        code = ui._code(room.port, ui.token(room.api, "kubeflow", "instructor"), patience=_PATIENCE)
        self.page.goto(f"{room.url}/sign-in#{code}")
        self.page.wait_for_url(lambda url: "sign-in" not in url)

    def load(self, url: str) -> Load:
        self.page.goto("about:blank")
        self.page.goto(url)
        return Load(*self.page.evaluate(TIMES))


def floor(stack: ExitStack, window: Window) -> Row:
    url = stack.enter_context(paragraph())
    return Row(
        t("floor: a page of one paragraph, first paint"), _middle([window.load(url) for _ in range(LOADS)]), "ms"
    )


def measured(room: Classroom, window: Window, server: psutil.Process, size: int) -> list[Row]:
    window.page.goto(room.url)
    window.page.wait_for_selector(f"#p-row-{numbers(size)[-1]}", state="attached")
    window.page.wait_for_timeout(_SETTLING)
    before = spent(server), spent(window.process)
    loads = [window.load(room.url) for _ in range(LOADS)]
    after = spent(server), spent(window.process)
    costs = [1000 * (now - then) / LOADS for now, then in zip(after, before, strict=True)]
    middle = {
        name: statistics.median(getattr(one, name) for one in loads) for name in ("answered", "received", "ready")
    }
    print(
        t(
            "  {size} tenants: first byte {answered:.0f} ms, last byte {received:.0f} ms, script done {ready:.0f} ms",
            size=size,
            **middle,
        ),
        flush=True,
    )
    return [
        Row(t("{size} tenants: first paint, median of {count}", size=size, count=LOADS), _middle(loads), "ms", AIM),
        Row(
            t("{size} tenants: first paint, worst of {count}", size=size, count=LOADS),
            max(one.paint for one in loads),
            "ms",
        ),
        Row(t("{size} tenants: processor time of the server, a load", size=size), costs[0], "ms"),
        Row(t("{size} tenants: processor time of the browser, a load", size=size), costs[1], "ms"),
        *followed(room, window, size),
    ]


def followed(room: Classroom, window: Window, size: int) -> list[Row]:
    """From the change in the cluster to the red cell."""
    page, times = window.page, []
    page.locator("#live:not(:empty):not(.off)").wait_for()
    page.evaluate(LONG)
    for tenant in room.people(numbers(size))[-CHANGES:]:
        for state, results in (
            ("fail", red(green(tenant), "KF02", "wrong owner", "kubectl patch")),
            ("pass", green(tenant)),
        ):
            started = time.monotonic()
            room.report(tenant, results)
            page.wait_for_selector(f"#c-{tenant.num}-KF02.{state}", state="attached")
            times.append((time.monotonic() - started) * 1000)
    long = page.evaluate("window.long")
    return [
        Row(
            t("{size} tenants: a change to the screen, median of {count}", size=size, count=len(times)),
            statistics.median(times),
            "ms",
            "<= 1000",
        ),
        Row(
            t("{size} tenants: a change to the screen, worst of {count}", size=size, count=len(times)),
            max(times),
            "ms",
            "<= 1000",
        ),
        Row(
            t("{size} tenants: browser's tasks over 50 ms in {count} changes", size=size, count=len(times)),
            len(long),
            "",
            "<= 0",
        ),
    ]


def _middle(loads: Sequence[Load]) -> float:
    return statistics.median(one.paint for one in loads)


def spent(process: psutil.Process) -> float:
    """Seconds of processor time of a process and its children, those that have ended too."""
    every = [process, *process.children(recursive=True)]
    return float(sum(sum(one.cpu_times()) for one in every if one.is_running()))


# What runs meanwhile


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """kubesim with Kubeflow-lite's definitions and roles, and nothing that runs."""
    state = folder / "cluster"
    command = [sys.executable, "-m", "kubesim", "serve", "--state", str(state), "--port", "0"]
    with (
        (folder / "kubesim.log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            assert process.stdout is not None
            process.stdout.readline()
            api = Cluster(state / "admin.kubeconfig")
            apply.apply(api, definitions())
            yield api
        finally:
            process.send_signal(signal.SIGINT)  # ends its helpers too
            process.wait(_PATIENCE)


def definitions() -> list[Object]:
    files = load((_KUBEFLOW / "kustomization.yaml").read_text())["resources"]
    found = [item for file in files for item in manifests.read(_KUBEFLOW / file)]
    return [item for item in found if item["kind"] not in ("Deployment", "MutatingWebhookConfiguration")]


@contextmanager
def served(room: Classroom) -> Iterator[psutil.Process]:
    """The dashboard as its Deployment runs it, with its own account's rights."""
    log = room.folder / "dashboard.log"
    command = [sys.executable, "-m", "kubeflow_lite", "dashboard", "--address", "127.0.0.1", "--port", "0"]
    environ = {**os.environ, "KUBECONFIG": str(room.account("centraldashboard")), "HEALTH_PORT": "0"}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output) as process,
    ):
        try:
            room.port = _port(process, log)
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on port (\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.02)
    raise LabError(t("the dashboard did not start:\n{log}", log=log.read_text()))


@contextmanager
def opened(program: str) -> Iterator[Window]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        known = set(psutil.Process().children(recursive=True))
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="en-US")
        page.set_default_timeout(_PATIENCE * 1000)
        fresh = [one for one in psutil.Process().children(recursive=True) if one not in known]
        yield Window(page, next(one for one in fresh if one.ppid() not in {other.pid for other in fresh}))
        browser.close()


class _Paragraph(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>floor</title><p>floor"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def paragraph() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Paragraph) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
