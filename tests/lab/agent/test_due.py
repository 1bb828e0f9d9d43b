"""Whose checks are next, with a clock of the test's own: nothing here waits, for what is due is due already."""

from __future__ import annotations

import threading

from lab.agent.due import GAP, SETTLE, Due


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def due(*people: str) -> tuple[Due, Clock]:
    clock = Clock()
    made = Due(sweep=2.5, clock=clock)
    made.people(people)
    return made, clock


def checked(made: Due) -> str | None:
    number = made.next()
    if number is not None:
        made.done(number)
    return number


def test_everybody_is_checked_at_once() -> None:
    made, _ = due("01", "02", "20")
    assert {checked(made), checked(made), checked(made)} == {"01", "02", "20"}


def test_whoever_was_touched_comes_first() -> None:
    made, clock = due("01", "02", "20")
    for _ in range(3):
        checked(made)
        clock.now += 1
    made.touch(["20"])
    clock.now += max(SETTLE, GAP)
    assert checked(made) == "20"


def test_when_nothing_changes_the_longest_unseen_is_next() -> None:
    made, clock = due("01", "02")
    first, second = checked(made), None
    clock.now += 1
    second = checked(made)
    clock.now += 3
    assert checked(made) == first
    clock.now += 3
    assert checked(made) == second


def test_one_that_is_touched_while_its_checks_run_is_due_again() -> None:
    made, clock = due("01")
    number = made.next()
    assert number == "01"
    made.touch(["01"])
    made.done("01")
    clock.now += GAP + SETTLE
    assert checked(made) == "01"


def test_touching_everybody_and_strangers() -> None:
    made, clock = due("01", "02")
    assert {checked(made), checked(made)} == {"01", "02"}
    made.touch(["77"])
    made.touch(None)
    clock.now += GAP + SETTLE
    assert {checked(made), checked(made)} == {"01", "02"}


def test_who_left_is_not_checked() -> None:
    made, _ = due("01", "02")
    made.people(["02"])
    assert checked(made) == "02"


def test_closing_wakes_a_waiting_worker() -> None:
    made, _ = due()
    found: list[str | None] = ["nothing yet"]
    worker = threading.Thread(target=lambda: found.append(made.next()))
    worker.start()
    made.close()
    worker.join(30)
    assert found[-1] is None
