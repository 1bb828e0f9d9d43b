"""What came of the requests, second by second, and percentiles over any stretch of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Second:
    """The requests that were due in one second. `latencies` (s) count from the moment a request was due, not from when it could be sent.

    `arrived` counts answers in the second they came, whenever they were due: where it falls behind `sent`, requests pile up.
    """

    sent: int = 0
    arrived: int = 0
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    retried: int = 0
    releases: Counter[str] = field(default_factory=Counter)
    pods: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Answer:
    """One answer: `latency` in seconds, who gave it, and how often it had to be asked for again."""

    latency: float
    release: str
    pod: str
    retried: int


class Samples:
    """Written by the client, read by everybody; one loop's only."""

    def __init__(self) -> None:
        self.seconds: list[Second] = []
        self.reasons: Counter[str] = Counter()

    def at(self, time: float) -> Second:
        while len(self.seconds) <= int(time):
            self.seconds.append(Second())
        return self.seconds[int(time)]

    def answered(self, due: float, answer: Answer) -> None:
        self.at(due + answer.latency).arrived += 1
        second = self.at(due)
        second.latencies.append(answer.latency)
        second.retried += answer.retried
        second.releases[answer.release] += 1
        second.pods[answer.pod] += 1

    def failed(self, due: float, reason: str) -> None:
        self.at(due).failed += 1
        self.reasons[reason] += 1


@dataclass(frozen=True)
class Sum:
    """A stretch of seconds in figures; latencies in ms, None where nothing was answered."""

    seconds: int
    sent: int
    arrived: int
    answered: int
    failed: int
    retried: int
    p50: float | None
    p99: float | None
    worst: float | None

    @property
    def rate(self) -> float:
        """Answers a second, as they came."""
        return self.arrived / self.seconds if self.seconds else 0.0


def total(seconds: Iterable[Second]) -> Sum:
    chosen = list(seconds)
    latencies = sorted(latency for second in chosen for latency in second.latencies)
    return Sum(
        seconds=len(chosen),
        sent=sum(second.sent for second in chosen),
        arrived=sum(second.arrived for second in chosen),
        answered=len(latencies),
        failed=sum(second.failed for second in chosen),
        retried=sum(second.retried for second in chosen),
        p50=percentile(latencies, 0.50),
        p99=percentile(latencies, 0.99),
        worst=percentile(latencies, 1.0),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """In ms, of latencies (s) in order: the smallest that at least this share does not exceed."""
    if not ordered:
        return None
    place = max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)
    return ordered[place] * 1000
