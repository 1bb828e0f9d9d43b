"""Pages in parts: revisions, both languages, what tenants write, charts and the figures behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from kubeflow_lite.dashboard import chart, languages, metrics, pressing, reports, view
from kubeflow_lite.dashboard.board import Board
from kubeflow_lite.dashboard.live import renderer
from kubeflow_lite.dashboard.metrics import Reading
from kubeflow_lite.web import pages


@dataclass(frozen=True)
class Row:
    text: str


def board() -> Board:
    return Board(lambda kind, value: f"<{kind}>{value}</{kind}>")


def test_a_reader_is_sent_what_changed_and_nothing_twice() -> None:
    made = board()
    made.update({"row-1": Row("a"), "row-2": Row("b")})
    first = made.version
    assert made.since(first) == {}
    made.update({"row-1": Row("a"), "row-2": Row("c")})
    changed = made.since(first)
    assert changed is not None
    assert list(changed) == ["row-2"]
    assert "Row(text='c')" in changed["row-2"]
    assert made.since(made.version) == {}


def test_a_page_with_another_frame_is_loaded_again() -> None:
    """Its columns and choices came after it: a page opened while the agent was starting."""
    page = board()
    page.update({"a": 1}, frame=())
    seen = page.version
    page.update({"a": 1}, frame=("KF01",))
    assert page.since(seen) is None
    seen = page.version
    page.update({"a": 2}, frame=("KF01",))
    assert page.since(seen) == {"a": "<a>2</a>"}


def test_an_update_that_changes_nothing_has_no_revision() -> None:
    made = board()
    made.update({"row-1": Row("a")})
    before = made.version
    made.update({"row-1": Row("a")})
    assert made.version == before


@pytest.mark.parametrize("after", [{"row-1": Row("a")}, {"row-2": Row("b"), "row-1": Row("a")}])
def test_a_page_of_another_shape_is_loaded_again(after: dict[str, object]) -> None:
    made = board()
    made.update({"row-1": Row("a"), "row-2": Row("b")})
    version = made.version
    made.update(after)
    assert made.since(version) is None
    assert made.since(made.version) == {}


@pytest.mark.parametrize("version", ["", "0.1", "x.y", "99"])
def test_a_page_that_another_program_made_is_loaded_again(version: str) -> None:
    made = board()
    made.update({"row-1": Row("a")})
    assert made.since(version) is None


def test_no_word_is_in_one_language_only() -> None:
    for key, (english, korean) in languages.WORDS.items():
        assert english, key
        assert korean, key
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", korean)), key


def test_every_word_that_the_pages_say_is_in_the_catalogue_and_every_word_of_it_is_said() -> None:
    root = pages.environment().loader
    assert root is not None
    texts = [root.get_source(pages.environment(), f"dashboard/{name}.html")[0] for name in PAGES]
    said = {key for text in texts for key in re.findall(r"\bt\('(\w+)'", text)}
    assert said <= set(languages.WORDS)
    named = {key for text in texts for key in re.findall(r"'(\w+)'", text)}
    chosen_by_programs = {"sign_in_wrong", "sign_in_nobody", "sign_in_wait", "requests_per_second", "latency"}
    assert set(languages.WORDS) - named - chosen_by_programs == set()


PAGES = ("base", "class", "tenant", "sign-in", "check", "check-part", "parts")


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [("ko", "en", "ko"), ("", "ko-KR,ko;q=0.9", "ko"), ("", "fr, en", "en"), ("", "", "en"), ("<script>", "ko", "ko")],
)
def test_the_language_is_the_visitors(cookie: str, accepted: str, chosen: str) -> None:
    assert languages.choose(cookie, accepted) == chosen


def test_what_tenants_write_is_text_and_not_markup() -> None:
    evil = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>"
    event = view.Event("2026-11-22T11:59:00Z", 1, False, evil, evil, evil, evil, evil)
    result = reports.Result("KF01", "fail", evil, evil)
    from kubeflow_lite.dashboard.panels import Checks

    checks = Checks("x", ((evil, ((reports.Check("KF01", evil, evil, evil), result),)),))
    for kind, value in (("events", (event,)), ("checks", checks)):
        html = renderer("en")(kind, value)
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html


def reading(*requests: float) -> Reading:
    bounds = (0.001, 0.01, 0.1, float("inf"))
    return Reading({b: float(sum(r <= b for r in requests)) for b in bounds}, float(len(requests)), sum(requests))


def test_only_predictions_count_as_load() -> None:
    text = (
        'serving_request_seconds_bucket{le="0.01",route="/predict"} 3.0\n'
        'serving_request_seconds_bucket{le="+Inf",route="/predict"} 4.0\n'
        'serving_request_seconds_count{route="/predict"} 4.0\n'
        'serving_request_seconds_sum{route="/predict"} 0.5\n'
        'serving_request_seconds_count{route="/ready"} 1000.0\n'
        'serving_request_seconds_count{route="/predict/batch"} 2.0\n'
    )
    assert metrics.parse(text) == Reading({0.01: 3.0, float("inf"): 4.0}, 6.0, 0.5)


def test_between_two_readings() -> None:
    old = {"a": reading(0.005), "b": reading(*[0.005] * 10)}
    new = {"a": reading(0.005, *[0.05] * 8), "b": reading(0.005, 0.005)}
    seen = metrics.between(old, new, 2.0)
    assert seen.rate == 5.0, "8 more of a; b began anew and counts 2"
    assert seen.p95 is not None
    assert 10 < seen.p95 <= 100
    assert metrics.between(new, new, 1.0) == metrics.Between(0.0, None, None)


def test_a_pod_seen_for_the_first_time_is_no_burst() -> None:
    assert metrics.between({"a": reading()}, {"a": reading(), "b": reading(*[0.05] * 900)}, 1.0).rate == 0.0


def test_a_quantile_is_within_its_bucket() -> None:
    assert metrics.quantile({0.01: 50.0, 0.1: 100.0, float("inf"): 100.0}, 0.5) == pytest.approx(10.0)
    assert metrics.quantile({0.01: 0.0, 0.1: 100.0, float("inf"): 100.0}, 0.5) == pytest.approx(55.0)
    assert metrics.quantile({0.01: 0.0, float("inf"): 5.0}, 0.95) == 10.0, "as much as is known"
    assert metrics.quantile({}, 0.95) is None


@pytest.mark.parametrize(("value", "top"), [(0.3, 0.5), (1, 1), (1.2, 2), (7, 10), (120, 200), (0, 1)])
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert chart.ceiling(value) == pytest.approx(top)


def test_a_chart_moves_in_from_the_right_and_leaves_gaps() -> None:
    drawing = chart.draw([1.0, None, 1.0, 2.0], slots=5, least=1.0)
    assert drawing.top == 2.0
    assert drawing.line.count("M") == 2
    assert drawing.end == (chart.WIDTH, 8.0)
    assert chart.draw([], slots=5).line == ""


def told(kind: str, **data: str) -> dict[str, object]:
    return {"metadata": {"name": "x", "labels": {reports.KIND: kind}}, "data": data}


@pytest.mark.parametrize(
    "report", ["", "not json", "[]", "null", '{"checks": 5, "bucket": null}', '{"checks": [1, {}]}']
)
def test_a_report_that_is_not_as_agreed_breaks_nothing(report: str) -> None:
    found = reports.reports([told("report", report=report)])
    columns = reports.checks([told("catalogue", checks='[{"code": "KF01"}, 7]')])
    assert [one.code for one in columns] == ["KF01"]
    row = reports.row("01", "kubeflow-user01", found.get("kubeflow-user01"), columns)
    assert row.cells == (("KF01", ""),)
    assert not row.ready


def test_the_headline_counts() -> None:
    rows = [
        reports.Row("01", "student", "a", (("KF01", "pass"), ("KF02", "pass"))),
        reports.Row("02", "student", "b", (("KF01", "fail"), ("KF02", "skip"))),
    ]
    assert reports.headline(rows, alive=True) == reports.Headline(1, 2, 2, 1, 1, 0, True)


def test_the_agent_is_away_when_its_lease_is_old() -> None:
    now = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
    lease = {
        "metadata": {"name": "lab-agent"},
        "spec": {"renewTime": "2026-11-22T12:00:00.000001Z", "leaseDurationSeconds": 15},
    }
    assert reports.alive([lease], now + timedelta(seconds=14))
    assert not reports.alive([lease], now + timedelta(seconds=16))
    assert not reports.alive([], now)


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "delete"},
        {"verb": "break", "fault": "mlflow-down"},
        {"verb": "break", "fault": "mlflow-down", "user": "7"},
        {"verb": "break", "fault": "../../etc", "user": "07"},
        {"verb": "rehearse"},
        {},
    ],
)
def test_a_form_of_somebody_elses_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(pressing.Unusable):
        pressing.request(fields, by="x", system="kubeflow")


def test_a_button_leaves_a_request() -> None:
    made = pressing.request({"verb": "mend", "fault": "mlflow-down", "user": "07"}, by="20", system="kubeflow")
    assert made["metadata"]["labels"] == {reports.KIND: "request"}
    (shown,) = reports.requests([made])
    assert (shown.verb, shown.fault, shown.num, shown.by, shown.state) == ("mend", "mlflow-down", "07", "20", "waiting")
