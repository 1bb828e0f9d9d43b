"""How many requests a second a pattern asks for, at every moment. Pure.

step    a tenth of the rate, then all of it at once, until the end
ramp    from a tenth up to the whole rate in two thirds of the time, then steady
spike   a fifth of the rate, and the whole rate in the middle third
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import LabError
from lab.messages import t

MOST_RPS, MOST_SECONDS = 5_000.0, 3_600.0
Shape = Callable[[float], float]
"""A share of the rate (0 to 1) for a share of the time (0 to 1)."""


def _step(time: float) -> float:
    return 0.1 if time < 1 / 9 else 1.0


def _ramp(time: float) -> float:
    return min(1.0, 0.1 + 0.9 * time * 1.5)


def _spike(time: float) -> float:
    return 1.0 if 1 / 3 <= time < 2 / 3 else 0.2


SHAPES: dict[str, Shape] = {"step": _step, "ramp": _ramp, "spike": _spike}


@dataclass(frozen=True)
class Pattern:
    """`rate(t)` requests a second, `t` seconds after the start; afterwards a trickle that keeps the charts going."""

    name: str
    rps: float
    seconds: float

    def rate(self, time: float) -> float:
        if time >= self.seconds:
            return self.trickle
        return self.rps * SHAPES[self.name](time / self.seconds)

    @property
    def trickle(self) -> float:
        """Enough to see that the service answers, too little to keep replicas."""
        return min(self.rps, max(5.0, self.rps * 0.02))


def pattern(name: str, *, rps: str, seconds: str) -> Pattern:
    """Raises LabError for what is no pattern, rate or time."""
    if name not in SHAPES:
        raise LabError(t("no pattern {name!r}", name=name), t("one of: {names}", names=", ".join(SHAPES)))
    most = t("this load generator is one process and sends at most {most:g} a second", most=MOST_RPS)
    return Pattern(
        name=name,
        rps=_number("--rps", rps, low=1, high=MOST_RPS, why=most),
        seconds=_number("--seconds", seconds, low=5, high=MOST_SECONDS, why=t("the autoscaler looks every 15 s")),
    )


def _number(option: str, text: str, *, low: float, high: float, why: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise LabError(
            t(
                "{option} is {text!r}, not a number from {low:g} to {high:g}: {why}",
                option=option,
                text=text,
                low=low,
                high=high,
                why=why,
            ),
            "./inv load --rps 500 --seconds 90",
        )
    return value
