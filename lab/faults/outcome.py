"""What a rehearsal found: a value, so that a report of it knows neither the checks nor the faults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rehearsal:
    """How one fault went for `tenant`. `problems` is empty where it went as the course teaches.

    `bystander` is the tenant whose checks stayed green, '' where the fault is everybody's.
    """

    fault: str
    title: str
    tenant: str
    bystander: str
    who: str
    symptom: str
    cure: str
    english: str
    korean: str
    red: tuple[str, ...]
    hints: tuple[str, ...]
    problems: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        return not self.problems
