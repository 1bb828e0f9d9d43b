"""Steps: order, failure, cancelling."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from lab.errors import LabError
from lab.progress import Step, Steps


def plain() -> tuple[Steps, io.StringIO]:
    out = io.StringIO()
    return Steps(Console(file=out, width=100)), out


def test_a_step_runs_after_those_it_needs() -> None:
    order: list[str] = []
    steps, out = plain()

    def run(name: str) -> str:
        order.append(name)
        return f"note of {name}"

    done = steps.run(
        [
            Step("c", "third", lambda: run("c"), after=("a", "b")),
            Step("a", "first", lambda: run("a")),
            Step("b", "second", lambda: run("b"), after=("a",)),
        ]
    )
    assert order == ["a", "b", "c"]
    assert [(progress.step.name, progress.state, progress.note) for progress in done] == [
        ("c", "done", "note of c"),
        ("a", "done", "note of a"),
        ("b", "done", "note of b"),
    ]
    assert "✓ first" in out.getvalue()
    assert "note of b" in out.getvalue()


def test_independent_steps_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10)
    steps, _ = plain()
    steps.run([Step(name, name, lambda: (meeting.wait(), None)[1]) for name in ("a", "b")])


def test_a_failure_stops_what_has_not_started_and_tells_what_runs() -> None:
    steps, out = plain()
    started = threading.Event()
    ran: list[str] = []

    def fail() -> None:
        started.wait(10)
        raise LabError("the disk is full", "free some")

    def long() -> str:
        started.set()
        return "told" if steps.cancelled.wait(10) else "not told"

    with pytest.raises(LabError, match="the disk is full"):
        steps.run(
            [
                Step("bad", "bad", fail),
                Step("long", "long", long),
                Step("never", "never", lambda: ran.append("never"), after=("bad",)),
            ]
        )
    assert ran == []
    assert "✗ bad" in out.getvalue()
    assert "the disk is full" in out.getvalue()
    assert "told" in out.getvalue()
    assert "not told" not in out.getvalue()


def test_a_step_that_waits_for_an_unknown_one_is_a_mistake() -> None:
    steps, _ = plain()
    with pytest.raises(ValueError, match="nothing"):
        steps.run([Step("a", "a", lambda: None, after=("nothing",))])
