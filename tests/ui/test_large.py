"""A class of two hundred: the page comes and moves as it does with sixteen. Figures are printed; only what is surely wrong fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.benches.classroom import World, green, red
from lab.settings import Tenant
from tests.ui.test_pages import PAINT, PATIENCE

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(900)]

MORE = tuple(f"{number}" for number in range(100, 292))
WATCH = """() => {
  window.long = [];
  const note = (list) => window.long.push(...list.getEntries().map((one) => one.duration));
  new PerformanceObserver(note).observe({ type: 'longtask' });
}"""
SCROLL = """async () => {
  const frames = []; let last = performance.now();
  for (let at = 0; at < 120; at++) {
    scrollBy(0, 60);
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last); last = performance.now();
  }
  return frames.sort((a, b) => a - b);
}"""


@pytest.fixture
def people(world: World) -> Iterator[list[Tenant]]:
    """Those beyond the usual class, while a test runs."""
    more = world.people(MORE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(world.enrol, more))
        yield more
        list(pool.map(world.leave, more))


def test_two_hundred_tenants(
    visitor: Any, world: World, people: list[Tenant], capsys: pytest.CaptureFixture[str]
) -> None:
    page = visitor().sign_in()
    page.wait_for_selector("#p-row-291", state="attached", timeout=PATIENCE)
    page.goto(world.url)
    paint = page.evaluate(PAINT)
    page.evaluate(WATCH)
    seen = []
    for tenant in people[:20]:
        started = time.monotonic()
        world.report(tenant, red(green(tenant), "KF02", "wrong owner", "kubectl patch"))
        page.wait_for_selector(f"#c-{tenant.num}-KF02.fail", state="attached", timeout=PATIENCE)
        seen.append((time.monotonic() - started) * 1000)
    long, frames = page.evaluate("window.long"), page.evaluate(SCROLL)
    assert page.locator("[role=grid] [role=gridcell] .cell").count() >= 200 * 23
    with capsys.disabled():
        print(
            f"\n200 tenants: first paint {paint:.0f} ms; an update {sorted(seen)[10]:.0f} ms, at worst {max(seen):.0f} ms"
        )
        print(f"long tasks in 20 updates: {len(long)}, the longest {max(long, default=0):.0f} ms")
        print(f"a frame while scrolling: {frames[60]:.0f} ms in the middle, {frames[-6]:.0f} ms at the 95th percentile")
