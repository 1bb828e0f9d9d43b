"""Every fault has its words for the student, in both languages, with no name left to fill in; and the printed page of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import fresh, settings
from lab.aws.standin import StandIn
from lab.clusters.sim import Sim
from lab.faults import REGISTRY
from lab.faults.base import Fault
from lab.faults.outcome import Rehearsal
from lab.faults.rehearse import neighbours
from lab.faults.words import WORDS
from lab.reports import rehearsal
from lab.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    loaded = settings.load(environ={"LAB_STATE": str(tmp_path)})
    return World(loaded, Sim(loaded), "", StandIn(loaded), "")


def test_no_fault_without_words_and_no_words_without_fault() -> None:
    assert list(WORDS) != []
    assert set(WORDS) == {fault.name for fault in REGISTRY}
    assert len(REGISTRY) == 12


@pytest.mark.parametrize("fault", REGISTRY, ids=[fault.name for fault in REGISTRY])
def test_words_are_filled_in_with_the_tenants_names(world: World, fault: Fault) -> None:
    tenant = world.settings.one("07")
    words = WORDS[fault.name]
    for text in (fault.symptom, fault.cure, words.english, words.korean):
        filled = fault.words(text, world, tenant)
        assert not [
            name for name in ("user", "num", "email", "bucket", "namespace", "profile") if f"{{{name}}}" in filled
        ]
    assert any("가" <= letter <= "힣" for letter in words.korean)
    assert words.english.isascii()


def one(**changes: object) -> Rehearsal:
    values: dict[str, object] = {
        "fault": "mlflow-down",
        "title": "MLflow server does not run",
        "tenant": "user07",
        "bystander": "user08",
        "who": "student",
        "symptom": "No resources found",
        "cure": "kubectl scale deployment mlflow-server",
        "english": "Start it.",
        "korean": "시작하세요.",
        "red": ("ML06",),
        "hints": ("kubectl get pods",),
        "problems": (),
        "seconds": 2.0,
    }
    return Rehearsal(**(values | changes))  # type: ignore[arg-type]


def test_a_page_that_an_instructor_prints() -> None:
    page = rehearsal.render([one(), one(fault="x", problems=("ML06 did not fail",), red=())])
    assert page.startswith("# Rehearsal\n\n1 of 2 faults went as the course teaches, in 4 s: ")
    assert "| 1 | MLflow server does not run | ML06 | student | as expected |" in page
    assert "| 2 | MLflow server does not run | - | student | **not as expected** |" in page
    assert "The student sees:\n\n```\nNo resources found\n```\n" in page
    assert "Say to the student:\n\n> Start it.\n>\n> 시작하세요.\n" in page
    assert "The student types:\n\n```\nkubectl scale deployment mlflow-server\n```\n" in page
    assert "Rehearsed as user07 in 2.0 s: user07 green again, user08 untouched." in page
    assert "Rehearsed as user07 in 2.0 s: ML06 did not fail." in page


def test_a_fault_that_everybody_feels_claims_no_untouched_tenant() -> None:
    assert "user07 green again, every tenant feels it." in rehearsal.render([one(bystander="")])


def test_a_hint_that_is_the_cure_is_said_once() -> None:
    page = rehearsal.render([one(hints=("kubectl scale deployment mlflow-server",))])
    assert page.count("kubectl scale deployment mlflow-server") == 1
    assert "The checks say" not in page


def test_the_neighbours_are_those_who_would_notice(world: World) -> None:
    """In the class's circle: the one after, and the one before, whose isolation checks try this tenant."""
    people = [world.settings.one(number) for number in ("01", "05", "07", "20")]
    fresh.remember(world, people)
    assert [one.num for one in neighbours(world, people[2])] == ["05", "20"]
    assert [one.num for one in neighbours(world, people[0])] == ["05", "20"]


def test_a_lab_of_one_has_no_neighbours(world: World) -> None:
    alone = world.settings.one("07")
    fresh.remember(world, [alone])
    assert neighbours(world, alone) == ()


@pytest.mark.parametrize("fault", REGISTRY, ids=[fault.name for fault in REGISTRY])
def test_a_hint_has_the_tenants_own_names(world: World, fault: Fault) -> None:
    assert "{" not in fault.words(fault.hint, world, world.settings.one("07")).replace('{"spec"', "").replace(
        '{"owner"', ""
    ).replace('{"name"', "")
