"""Cron schedules, as robfig/cron reads them for Kubernetes: five fields, names, ranges, steps, and the @ shorthands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
HORIZON = timedelta(days=366 * 5)


@dataclass(frozen=True)
class Schedule:
    """When something happens, to the minute. `every` is set for "@every 90s" instead of the fields."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    either: bool = False
    """Both day fields are restricted: one of them is enough."""
    every: timedelta | None = None

    def next(self, after: datetime) -> datetime | None:
        """The first time after `after`, in its time zone; None where there is none in five years (31 February)."""
        if self.every is not None:
            return (after + self.every).replace(microsecond=0)
        moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        while moment < after + HORIZON:
            if moment.month not in self.months:
                moment = (moment.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._day(moment):
                moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
            elif moment.hour not in self.hours:
                moment = moment.replace(minute=0) + timedelta(hours=1)
            elif moment.minute not in self.minutes:
                moment += timedelta(minutes=1)
            else:
                return moment
        return None

    def _day(self, moment: datetime) -> bool:
        day, weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return (day or weekday) if self.either else (day and weekday)


def parse(text: str) -> Schedule:
    """Raises ValueError for what is no schedule."""
    text = text.strip()
    if text.startswith("@every "):
        return Schedule(every=_duration(text.removeprefix("@every ").strip()))
    fields = SHORTHANDS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
    minute, hour, day, month, weekday = fields
    return Schedule(
        minutes=_field(minute, 0, 59),
        hours=_field(hour, 0, 23),
        days=_field(day, 1, 31),
        months=_field(month, 1, 12, MONTHS),
        weekdays=frozenset(n % 7 for n in _field(weekday, 0, 7, DAYS)),
        either=not day.startswith(("*", "?")) and not weekday.startswith(("*", "?")),
    )


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first in ("*", "?"):
            start, end = low, high
        else:
            start = _number(first, names)
            end = _number(last, names) if last else (high if step else start)
        every = _number(step, None) if step else 1
        if not low <= start <= end <= high or every < 1:
            raise ValueError(f"{part!r} is outside {low} to {high}")
        found.update(range(start, end + 1, every))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    if names and text.lower() in names:
        return names[text.lower()]
    if not text.isdigit():
        raise ValueError(f"failed to parse int from {text}")
    return int(text)


def _duration(text: str) -> timedelta:
    units = {"h": "hours", "m": "minutes", "s": "seconds"}
    total, number = timedelta(), ""
    for letter in text:
        if letter in units and number:
            total += timedelta(**{units[letter]: float(number)})
            number = ""
        elif letter.isdigit() or letter == ".":
            number += letter
        else:
            raise ValueError(f"failed to parse duration @every {text}")
    if number or not total:
        raise ValueError(f"failed to parse duration @every {text}")
    return max(total, timedelta(seconds=1))
