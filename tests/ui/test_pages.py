"""The pages in Chromium: what a room sees, what a tenant may see, and how they serve those who use no mouse."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from lab import messages
from lab.benches.classroom import CLASS, World, green, red
from tests.ui.conftest import Metrics
from tests.ui.contrast import LOW

pytestmark = pytest.mark.timeout(240)

PATIENCE = 45_000
"""Milliseconds; what is measured is printed, and asserted against generous bounds only: other programs share this machine."""
CELL = "#c-07-KF02"
OWNER = (
    "owner of profile-user07: expected user07@mlops.local, found user@example.com",
    "kubectl patch profile profile-user07 --type=merge",
)


def break_owner(world: World) -> float:
    """Make user07's report red, in the words of the check, which the agent has in both languages; returns when."""
    tenant = world.tenant("07")
    messages.use("both")
    try:
        seen = {"profile": tenant.profile, "email": tenant.email, "owner": "user@example.com"}
        message = messages.t("owner of {profile}: expected {email}, found {owner}", **seen)
        world.report(tenant, red(green(tenant), "KF02", message, OWNER[1]))
    finally:
        messages.use("en")
    return time.monotonic()


def mend_owner(world: World) -> None:
    tenant = world.tenant("07")
    world.report(tenant, green(tenant))


def test_a_code_signs_in_and_leaves_no_trace(visitor: Any, world: World) -> None:
    someone = visitor()
    page = someone.sign_in()
    assert page.url == f"{world.url}/"
    assert page.evaluate("document.cookie") == "", "the session's cookie is out of the script's reach"
    (cookie,) = [one for one in someone.context.cookies() if one["name"] == "dashboard-session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["domain"] == "dashboard.localhost", "other programs on 127.0.0.1 are not sent it"
    assert cookie["value"] not in page.content()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{world.url}/sign-in")
    page.goto(world.url)
    assert page.url == f"{world.url}/sign-in"


def test_the_grid_turns_red_and_green_again(visitor: Any, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    someone = visitor()
    page = someone.sign_in()
    assert page.locator("h1").inner_text() == "Everybody is ready"
    assert page.locator(".cell.pass").count() == 23 * len(CLASS)
    try:
        started = break_owner(world)
        page.wait_for_selector(f"{CELL}.fail", timeout=PATIENCE)
        seen = time.monotonic() - started
        assert page.locator("h1").inner_text() == f"{len(CLASS) - 1} of {len(CLASS)} ready"
        behind = page.locator(".cell.skip").count()
        assert page.locator(".cell.fail").count() == 1
        assert behind > 0
        assert page.locator(CELL).inner_text() == "✕", "a shape, not a colour alone"
        page.locator(CELL).click()
        dialog = page.get_by_role("dialog")
        assert OWNER[0] in dialog.inner_text()
        assert OWNER[1] in dialog.inner_text()
        someone.picture("hint")
        page.keyboard.press("Escape")
        someone.picture("broken")
    finally:
        mend_owner(world)
    page.wait_for_selector(f"{CELL}.pass", timeout=PATIENCE)
    page.get_by_role("heading", name="Everybody is ready").wait_for()
    with capsys.disabled():
        print(f"\nfrom the change in the cluster to the red cell: {seen * 1000:.0f} ms")


def test_a_chart_moves_under_load(visitor: Any, world: World) -> None:
    page = visitor().sign_in()
    now = page.locator(".graph.requests_per_second .now")
    now.wait_for(timeout=PATIENCE)
    assert now.inner_text() == "0"
    line = page.locator(".graph.requests_per_second path.line")
    before = line.get_attribute("d")
    Metrics.asked += 50_000
    page.locator(".graph.requests_per_second .now", has_text=re.compile(r"^\d{3,}$")).wait_for(timeout=PATIENCE)
    assert line.get_attribute("d") != before
    picture = page.get_by_role("img", name=re.compile("Requests per second: now .+, highest .+"))
    assert picture.count() == 1, "a screen reader is told the numbers"


def test_a_tenant_cannot_reach_anothers_page(visitor: Any, world: World) -> None:
    someone = visitor()
    page = someone.sign_in("kubeflow-user01", "default-editor")
    assert page.url == f"{world.url}/tenants/kubeflow-user01"
    assert "user07" not in page.content()
    assert page.get_by_role("button", name="Rehearse").count() == 0
    someone.picture("tenant", full_page=True)
    for path in (
        "/tenants/kubeflow-user07",
        "/tenants/kubeflow-user07/checks/KF02",
        "/live",
        "/tenants/kubeflow-user07/live",
    ):
        assert page.evaluate("path => fetch(path).then(answer => answer.status)", path) == 403
    token = page.evaluate("document.querySelector('meta[name=csrf]').content")
    pressed = page.evaluate(
        """token => fetch('/requests', {method: 'POST', headers: {'X-CSRF-Token': token},
            body: new URLSearchParams({verb: 'break', fault: 'mlflow-down', user: '07'})}).then(answer => answer.status)""",
        token,
    )
    assert pressed == 403
    someone.complaints.clear()  # the browser tells of every 403


def test_the_instructor_presses_break(visitor: Any, world: World) -> None:
    page = visitor().sign_in()
    page.get_by_label("Fault", exact=True).select_option("mlflow-down")
    page.get_by_label("Tenant", exact=True).select_option("01")
    page.get_by_role("button", name="Break").click()
    page.wait_for_selector(".requests li.waiting", timeout=PATIENCE)
    (request,) = world.api.list("v1", "ConfigMap", "kubeflow", labels="mlops-lab/kind=request")
    told = {key: request["data"][key] for key in ("verb", "fault", "user", "by")}
    assert told == {"verb": "break", "fault": "mlflow-down", "user": "01", "by": "instructor"}
    world.api.delete("v1", "ConfigMap", request["metadata"]["name"], "kubeflow")


def test_everything_can_be_done_with_the_keyboard(visitor: Any, world: World) -> None:
    page = visitor().sign_in()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator(".cell[tabindex='0']").focus()
    for key, where in (
        ("ArrowRight", "c-01-KF02"),
        ("ArrowDown", "c-02-KF02"),
        ("End", "c-02-ST06"),
        ("ArrowRight", "c-02-ST06"),
        ("Home", "c-02-KF01"),
        ("ArrowUp", "c-01-KF01"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == where, key
    assert page.locator(".cell[tabindex='0']").count() == 1, "the grid is one stop of the Tab key"
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.locator("#detail:not([open])").wait_for(state="attached")
    assert page.evaluate("document.activeElement.id") == "c-01-KF01"
    page.locator("#fault").focus()
    for wanted in ("user", "Break", "Mend", "Rehearse"):
        page.keyboard.press("Tab")
        assert wanted in page.evaluate("document.activeElement.id + ' ' + document.activeElement.textContent")


def test_a_screen_reader_is_told_which_check_a_column_is(visitor: Any, world: World) -> None:
    """In sight a column is two digits below the name of its part."""
    grid = visitor(locale="ko-KR").sign_in().get_by_role("grid")
    assert grid.get_by_role("columnheader", name="KF02 Profile 및 소유자").count() == 1
    names = [one.get_attribute("aria-label") for one in grid.get_by_role("columnheader").all()[1:-1]]
    assert len(set(names)) == len(names) == 23


def test_the_focus_stays_where_it_was_when_its_row_changes(visitor: Any, world: World) -> None:
    page = visitor().sign_in()
    page.locator(CELL).focus()
    try:
        break_owner(world)
        page.wait_for_selector(f"{CELL}.fail", timeout=PATIENCE)
        assert page.evaluate("document.activeElement.id") == CELL[1:]
    finally:
        mend_owner(world)


PROBLEMS = """() => {
  const found = [];
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push('two elements are #' + id);
  const named = (one) => (one.getAttribute('aria-label') || one.textContent || '').trim()
    || (one.labels && one.labels.length) || one.getAttribute('aria-labelledby');
  for (const one of document.querySelectorAll('a[href], button, select, input:not([type=hidden]), progress, svg[role=img]'))
    if (!named(one)) found.push('no name: ' + one.outerHTML.slice(0, 90));
  const levels = [...document.querySelectorAll('h1, h2, h3')].map((one) => +one.tagName[1]);
  if (levels.filter((level) => level === 1).length !== 1) found.push('not one h1');
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) found.push('a heading is left out before level ' + level); });
  for (const one of ['main', 'header', 'nav']) if (document.querySelectorAll(one).length !== 1) found.push('not one ' + one);
  for (const one of document.querySelectorAll('[aria-labelledby], [aria-describedby]'))
    for (const id of ((one.getAttribute('aria-labelledby') || '') + ' ' + (one.getAttribute('aria-describedby') || '')).split(' '))
      if (id && id !== 'detail-title' && !document.getElementById(id)) found.push('nothing is #' + id);
  for (const one of document.querySelectorAll('th')) if (!one.scope) found.push('a th without scope');
  for (const grid of document.querySelectorAll('[role=grid]'))
    for (const row of grid.children) if (row.getAttribute('role') !== 'row') found.push('a grid holds rows only');
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_headings_landmarks_and_contrast(visitor: Any, world: World, scheme: str) -> None:
    someone = visitor(color_scheme=scheme)
    page = someone.page
    page.goto(world.url)
    assert page.evaluate(PROBLEMS) == []
    assert page.evaluate(LOW) == []
    someone.sign_in()
    page.locator(".graph").first.wait_for(timeout=PATIENCE)
    try:
        break_owner(world)
        page.wait_for_selector(f"{CELL}.fail", timeout=PATIENCE)
        assert page.evaluate(PROBLEMS) == []
        assert page.evaluate(LOW) == []
        someone.picture(f"class-{scheme}", full_page=True)
        page.goto(f"{world.url}/tenants/kubeflow-user07")
        assert page.evaluate(PROBLEMS) == []
        assert page.evaluate(LOW) == []
    finally:
        mend_owner(world)


@pytest.mark.skipif("AXE" not in os.environ, reason="AXE names no axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visitor: Any, world: World, scheme: str) -> None:
    """The same questions and more, asked by axe-core where somebody has it."""
    source = Path(os.environ["AXE"]).read_text()
    someone = visitor(color_scheme=scheme)
    page = someone.page
    page.goto(world.url)
    assert violations(page, source) == []
    someone.sign_in()
    page.locator(".graph").first.wait_for(timeout=PATIENCE)
    try:
        break_owner(world)
        page.wait_for_selector(f"{CELL}.fail", timeout=PATIENCE)
        assert violations(page, source) == []
        page.locator(CELL).click()
        page.get_by_role("dialog").wait_for()
        assert violations(page, source) == []
        page.goto(f"{world.url}/tenants/kubeflow-user07")
        assert violations(page, source) == []
    finally:
        mend_owner(world)


def violations(page: Any, source: str) -> list[str]:
    page.evaluate(source)
    found = page.evaluate("() => axe.run()")["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


CUT = """() => [...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.textContent.trim().slice(0, 60))"""
"""Tables that must be scrolled to be read."""


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(visitor: Any, world: World, width: int) -> None:
    """A phone's, and a projector's; the grid and the tables scroll within their cards."""
    page = visitor(viewport={"width": width, "height": 844}).sign_in()
    for path in ("/", "/tenants/kubeflow-user07"):
        page.goto(f"{world.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        if width == 1280:
            assert page.evaluate(CUT) == [], path


def test_korean_and_dark_stay_chosen(visitor: Any, world: World) -> None:
    someone = visitor()
    page = someone.sign_in()
    page.get_by_role("link", name="한국어").click()
    page.locator("html[lang=ko]").wait_for()
    assert page.locator("h1").inner_text() == "모두 준비되었습니다"
    page.get_by_role("button", name="밝게 또는 어둡게").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 19)", (
        "in the server's answer, no flash"
    )
    someone.picture("korean-dark")


def test_two_viewers_read_two_languages_at_the_same_time(visitor: Any, world: World) -> None:
    """What a check saw is the reader's too: the dialog, and what server-sent events bring while both look."""
    instructor, tenant = visitor().sign_in(), visitor(locale="ko-KR").sign_in("kubeflow-user07", "default-editor")
    seen = {"en": "found user@example.com", "ko": "실제 user@example.com"}
    try:
        break_owner(world)
        told = tenant.locator("#p-checks li.fail")
        told.wait_for(timeout=PATIENCE)
        assert seen["ko"] in told.inner_text()
        assert seen["en"] not in told.inner_text()
        instructor.locator(f"{CELL}.fail").click(timeout=PATIENCE)
        dialog = instructor.get_by_role("dialog").inner_text()
        assert seen["en"] in dialog
        assert seen["ko"] not in dialog
    finally:
        mend_owner(world)


PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const one of list.getEntriesByName('first-contentful-paint')) done(one.startTime);
}).observe({ type: 'paint', buffered: true }))"""


@pytest.mark.exhaustive
def test_the_first_paint(visitor: Any, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    page = visitor().sign_in()
    times = []
    for _ in range(5):
        page.goto(world.url)
        times.append(page.evaluate(PAINT))
    with capsys.disabled():
        print(f"\nfirst paint: {min(times):.0f} ms at best, {sorted(times)[2]:.0f} ms in the middle")
    assert min(times) < 10_000


def test_without_script_the_page_is_whole(visitor: Any, world: World) -> None:
    someone = visitor(java_script_enabled=False)
    page = someone.page
    from lab import ui

    page.goto(world.url)
    page.fill("#credential", ui._code(world.port, ui.token(world.api, "kubeflow", "instructor"), patience=60))
    page.locator("button.main").click()
    assert page.locator(".cell.pass").count() == 23 * len(CLASS)
    page.locator(CELL).click()
    assert page.locator("h2").inner_text().startswith("07 · ")
