"""Where results go: files beside the terminal, a page that needs nothing else, and `--watch`, which ends when all is green."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab import checks, fresh, verify
from lab.checks.base import Check, Failed, Result, Subject
from lab.errors import LabError
from lab.reports import html as page
from lab.tenancy import users
from lab.verify import Output
from lab.world import World
from tests.lab.test_verify import world_in

NASTY = '<script>alert("1")</script> & more'


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two tenants who were started on a cluster that nobody asks."""
    made = world_in(tmp_path / "lab")
    people = [made.settings.one(number) for number in ("01", "02")]
    for tenant in people:
        users.write_private(users.kubeconfig_path(made.settings, tenant), "")
    fresh.remember(made, people)
    return made


def use(monkeypatch: pytest.MonkeyPatch, *checks_: Check) -> None:
    monkeypatch.setattr(checks, "REGISTRY", checks_)


def good(subject: Subject) -> str:
    return f"{subject.tenant.user} beside {subject.other.user}"


def bad(_: Subject) -> str:
    raise Failed(NASTY, "kubectl get pods -n kubeflow-user01")


GOOD, BAD = Check("A", "kubeflow", "Good", "좋음", good), Check("B", "kubeflow", "Bad", "나쁨", bad)


class Page(HTMLParser):
    """What a browser would fetch, and what it would show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_else_and_shows_text_as_text(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GOOD, BAD)
    text = page.render(verify.verify(world))
    read = Page(text)
    assert read.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    assert "url(" not in text
    assert NASTY in read.texts
    assert read.texts.count("kubectl get pods -n kubeflow-user01") == 2
    assert read.tags.count("tr") == 3, "a heading and a row for each tenant"


def test_files_are_written_beside_the_terminals_text(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, GOOD, BAD)
    junit, html = tmp_path / "checks.xml", tmp_path / "checks.html"
    failed = verify.main(world, Output(junit=str(junit), html=str(html)), user="", part="", watch=False)
    assert failed == 2
    suites = ElementTree.parse(junit).getroot()
    assert [(suite.get("tests"), suite.get("failures")) for suite in suites] == [("2", "1"), ("2", "1")]
    assert "user01" in html.read_text()
    assert "2 of 4 checks passed, 2 failed" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_one_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GOOD)
    with pytest.raises(LabError, match=r"cannot write /nowhere/checks\.xml: No such file") as refusal:
        verify.main(world, Output(junit="/nowhere/checks.xml"), user="01", part="", watch=False)
    assert refusal.value.hint == "name a file in a folder that exists and is yours"


def test_watch_asks_again_until_all_is_green(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are of the last look, and so is the exit code."""
    mended, waited = list[str](), list[float]()

    def later(subject: Subject) -> str:
        return good(subject) if mended else bad(subject)

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            mended.append("now")

    use(monkeypatch, Check("A", "kubeflow", "Later", "나중", later))
    monkeypatch.setattr(time, "sleep", pause)
    junit = tmp_path / "checks.xml"
    assert verify.main(world, Output(junit=str(junit)), user="01", part="", watch=True) == 0
    assert waited == [verify.WATCH_SECONDS] * 2
    assert capsys.readouterr().out.count("✗ A Later") == 2
    assert [suite.get("failures") for suite in ElementTree.parse(junit).getroot()] == ["0"]


def test_everybody_is_tried_against_the_next_in_the_circle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GOOD)
    found: list[Result] = verify.verify(world)
    assert [result.message for result in found] == ["user01 beside user02", "user02 beside user01"]
