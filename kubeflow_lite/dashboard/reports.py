"""What the lab's agent publishes, read from its ConfigMaps and its Lease (see lab/agent/objects.py for the other side). Pure.

Everything is optional: on a cluster without an agent the pages say so, and a report that is not what was agreed counts as none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from kubeflow_lite.objects import Object, labels, metadata, name
from kubeflow_lite.web import words

KIND = "mlops-lab/kind"
STATES = ("pass", "fail", "skip")


@dataclass(frozen=True)
class Check:
    """One column of the grid."""

    code: str
    part: str
    title: str
    title_ko: str


@dataclass(frozen=True)
class Result:
    """`state` is pass, fail, skip, or '' for a check that was not run yet."""

    code: str
    state: str
    message: str = ""
    hint: str = ""
    cause: str = ""
    message_ko: str = ""
    hint_ko: str = ""


@dataclass(frozen=True)
class Command:
    what: str
    what_ko: str
    command: str


@dataclass(frozen=True)
class Bucket:
    """`size` in words; '' where AWS did not say."""

    name: str
    objects: int
    size: str


@dataclass(frozen=True)
class Report:
    """All that the agent says of one tenant. `at` is when."""

    user: str
    num: str
    role: str
    namespace: str
    at: str
    results: tuple[Result, ...]
    bucket: Bucket
    commands: tuple[Command, ...]

    def result(self, code: str) -> Result:
        return self._by_code.get(code) or Result(code, "")

    @cached_property
    def _by_code(self) -> Mapping[str, Result]:
        return {one.code: one for one in self.results}


@dataclass(frozen=True)
class Fault:
    name: str
    title: str
    title_ko: str
    scope: str


@dataclass(frozen=True)
class Active:
    """`say` is what an instructor tells the student."""

    fault: str
    num: str
    title: str
    title_ko: str
    everybody: bool
    say: str
    say_ko: str


@dataclass(frozen=True)
class Request:
    """What somebody pressed, and what became of it. `lines` are a rehearsal's steps."""

    name: str
    verb: str
    fault: str
    num: str
    by: str
    at: str
    state: str
    message: str
    message_ko: str
    lines: tuple[str, ...]
    lines_ko: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One tenant of the grid, without what changes at every look."""

    num: str
    role: str
    namespace: str
    cells: tuple[tuple[str, str], ...]
    """Code and state."""

    @cached_property
    def states(self) -> Mapping[str, int]:
        """How many cells are in each state."""
        return Counter(state for _, state in self.cells)

    @property
    def failed(self) -> int:
        return self.states.get("fail", 0)

    @property
    def passed(self) -> int:
        return self.states.get("pass", 0)

    @property
    def ready(self) -> bool:
        return bool(self.cells) and self.passed == len(self.cells)


@dataclass(frozen=True)
class Headline:
    """`states` counts all cells; `people` of `total` tenants are ready."""

    people: int
    total: int
    passed: int
    failed: int
    skipped: int
    unknown: int
    alive: bool


def reports(found: Iterable[Object]) -> dict[str, Report]:
    """By namespace."""
    read = (_report(one) for one in found if _kind(one) == "report")
    return {one.namespace: one for one in read if one}


def _report(config_map: Object) -> Report | None:
    return _read((config_map.get("data") or {}).get("report") or "")


@lru_cache(maxsize=1024)
def _read(text: str) -> Report | None:
    """One that has not changed is not read again: with a class of two hundred that is nearly all the work of a look."""
    told = _json(text)
    if not isinstance(told, dict):
        return None
    bucket = told.get("bucket") or {}
    size = _size(int(bucket["bytes"])) if "bytes" in bucket else ""
    return Report(
        user=_text(told, "user"),
        num=_text(told, "num"),
        role=_text(told, "role"),
        namespace=_text(told, "namespace"),
        at=_text(told, "at"),
        results=tuple(
            Result(*(_text(one, key) for key in ("code", "state", "message", "hint", "cause", "message_ko", "hint_ko")))
            for one in _dicts(told.get("checks"))
        ),
        bucket=Bucket(_text(bucket, "name"), int(bucket.get("objects") or 0), size),
        commands=tuple(
            Command(_text(one, "what"), _text(one, "what_ko"), _text(one, "command"))
            for one in _dicts(told.get("commands"))
        ),
    )


def _size(amount: int) -> str:
    return f"{amount} B" if amount < 1024 else f"{words.memory(str(amount))}B"


def checks(found: Iterable[Object]) -> tuple[Check, ...]:
    return _checks(_one(found, "catalogue", "checks"))


@lru_cache(maxsize=8)
def _checks(text: str) -> tuple[Check, ...]:
    told = _dicts(_json(text))
    return tuple(
        Check(_text(one, "code"), _text(one, "part"), _text(one, "title"), _text(one, "title_ko")) for one in told
    )


def faults(found: Iterable[Object]) -> tuple[Fault, ...]:
    told = _dicts(_json(_one(found, "catalogue", "faults")))
    return tuple(Fault(*(_text(one, key) for key in ("name", "title", "title_ko", "scope"))) for one in told)


def active(found: Sequence[Object]) -> tuple[Active, ...]:
    known = {fault.name: fault for fault in faults(found)}
    told = _dicts(_json(_one(found, "active", "faults")))
    rows = []
    for one in told:
        fault = known.get(_text(one, "fault"))
        if fault:
            rows.append(
                Active(
                    fault.name,
                    _text(one, "num"),
                    fault.title,
                    fault.title_ko,
                    fault.scope == "lab",
                    _text(one, "say"),
                    _text(one, "say_ko"),
                )
            )
    return tuple(rows)


def requests(found: Iterable[Object], most: int = 6) -> tuple[Request, ...]:
    """The latest first."""
    read = [_request(one) for one in found if _kind(one) == "request"]
    return tuple(sorted(read, key=lambda one: one.at, reverse=True)[:most])


def _request(config_map: Object) -> Request:
    data: Mapping[str, Any] = config_map.get("data") or {}
    return Request(
        name=name(config_map),
        verb=_text(data, "verb"),
        fault=_text(data, "fault"),
        num=_text(data, "user"),
        by=_text(data, "by"),
        at=_text(data, "at") or str(metadata(config_map).get("creationTimestamp") or ""),
        state=_text(data, "state") or "waiting",
        message=_text(data, "message"),
        message_ko=_text(data, "message_ko"),
        lines=_lines(data, "log"),
        lines_ko=_lines(data, "log_ko"),
    )


def _lines(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(line for line in _text(data, key).splitlines() if line)


def alive(leases: Iterable[Object], at: datetime) -> bool:
    """Whether the agent's heart beats: its Lease was renewed within the time it promised."""
    spec = next((one.get("spec") or {} for one in leases if name(one) == "lab-agent"), {})
    renewed = words.moment(spec.get("renewTime"))
    return bool(renewed and at - renewed < timedelta(seconds=float(spec.get("leaseDurationSeconds") or 15)))


def row(num: str, namespace: str, report: Report | None, columns: Sequence[Check]) -> Row:
    cells = tuple((check.code, report.result(check.code).state if report else "") for check in columns)
    return Row(num=num, role=report.role if report else "", namespace=namespace, cells=cells)


def headline(rows: Sequence[Row], *, alive: bool) -> Headline:
    counts: Counter[str] = Counter()
    for one in rows:
        counts.update(one.states)
    return Headline(
        people=sum(one.ready for one in rows),
        total=len(rows),
        passed=counts["pass"],
        failed=counts["fail"],
        skipped=counts["skip"],
        unknown=counts[""],
        alive=alive,
    )


def _kind(config_map: Object) -> str:
    return labels(config_map).get(KIND, "")


def _one(found: Iterable[Object], kind: str, key: str) -> str:
    """The text below `key` in the one ConfigMap of this kind."""
    return next(((one.get("data") or {}).get(key) or "" for one in found if _kind(one) == kind), "")


def _json(text: str) -> object:
    try:
        return json.loads(text or "null")
    except (TypeError, ValueError):
        return None


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(told: Mapping[str, Any], key: str) -> str:
    return str(told.get(key) or "")
