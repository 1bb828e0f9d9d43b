"""A whole lab and its page in Chromium: what is broken turns red, what is mended turns green, and the chart follows the requests."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Lab

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PICTURES = ROOT / "test-output" / "ui"
PATIENCE = 120_000
FLOWER = json.dumps({"features": [5.1, 3.5, 1.4, 0.2]}).encode()

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (apt install chromium)"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
]


@contextmanager
def window(lab: Lab) -> Iterator[Any]:
    """The instructor's page, live."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="en-US")
        page.set_default_timeout(PATIENCE)
        page.goto(str(lab.json("ui", "--no-browser", "--json")["url"]))
        page.wait_for_url(lambda url: "sign-in" not in url)
        page.locator("#live:not(:empty):not(.off)").wait_for()
        yield page
        browser.close()


def picture(page: Any, name: str, **options: Any) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", **options)


@contextmanager
def requests_to(port: str) -> Iterator[None]:
    """Somebody asks the iris service as fast as it answers."""
    stop = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/predict", FLOWER, {"Content-Type": "application/json"}
        )
        while not stop.is_set():
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def breaks_and_mends(lab: Lab, number: str, say: Any) -> None:
    with window(lab) as page:
        page.get_by_role("heading", name="Everybody is ready").wait_for()
        page.get_by_label("Fault", exact=True).select_option("mlflow-down")
        page.get_by_label("Tenant", exact=True).select_option(number)
        pressed = time.monotonic()
        page.get_by_role("button", name="Break").click()
        page.locator(f"#c-{number}-ML06.fail").wait_for()
        say(f"from Break to red: {time.monotonic() - pressed:.1f} s")
        mend = page.locator(f"#mend-mlflow-down-{number}")
        mend.wait_for()
        picture(page, "lab-broken")
        assert page.locator(f".cell.fail:not([id^=c-{number}-])").count() == 0, "nobody else is touched"
        page.locator(f"#c-{number}-ML06").click()
        assert "kubectl" in page.get_by_role("dialog").inner_text()
        page.keyboard.press("Escape")
        pressed = time.monotonic()
        mend.click()
        page.locator(f"#c-{number}-ML06.pass").wait_for()
        page.get_by_role("heading", name="Everybody is ready").wait_for()
        say(f"from Mend to green: {time.monotonic() - pressed:.1f} s")


def follows_requests(lab: Lab, say: Any) -> None:
    with window(lab) as page:
        now = page.locator(".graph.requests_per_second .now")
        now.wait_for()
        with requests_to(lab.environ["LAB_PORTS_SERVING"]):
            page.wait_for_timeout(12_000)
            rate = float(now.inner_text())
            picture(page, "lab-serving", full_page=True)
        say(f"requests per second on the page: {rate:g}")
        assert rate > 0


@pytest.fixture(scope="module")
def running(lab: Lab) -> Lab:
    lab.inv("up", "--tenants", "01,07,20")
    return lab


def test_a_break_turns_red_and_a_mend_green(running: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        breaks_and_mends(running, "07", print)


def test_the_chart_follows_the_requests(running: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    running.inv("train", "--n-estimators", "20")
    with capsys.disabled():
        follows_requests(running, print)
