"""What a table's columns are made of, and the words their cells share: ages, durations, selectors, lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kubesim.resources import Object

Cells = Callable[[Object, datetime], list[Any]]
NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"


class Column(NamedTuple):
    """`about` is a description, or names a field whose description it is ("core.v1.PodStatus.podIP"). `wide` shows with `-o wide` only."""

    name: str
    about: str
    wide: bool = False
    format: str = ""
    type: str = "string"


META = "apimachinery.pkg.apis.meta.v1.ObjectMeta"
NAME = Column("Name", f"{META}.name", format="name")
AGE = Column("Age", f"{META}.creationTimestamp")
CREATED = Column("Created At", f"{META}.creationTimestamp")
CONTAINERS = Column("Containers", "Names of each container in the template.", wide=True)
IMAGES = Column("Images", "Images referenced by each container in the template.", wide=True)


def name_of(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def since(text: str | None, now: datetime) -> str:
    """How long ago, in words; "<unknown>" where there is no time."""
    return duration((now - moment(text)).total_seconds()) if text else UNKNOWN


def age(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def duration(exact: float) -> str:
    """A duration as kubectl prints it: 119s, 2m, 9m59s, 3h5m, 47h, 2d1h, 730d, 2y."""
    seconds = int(exact)
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    return _two(days // 365, "y", days % 365 if days < 365 * 8 else 0, "d")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def labels(values: dict[str, str] | None) -> str:
    """Labels as `a=b,c=d`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted(values.items())) if values else NONE


WORDS = {"In": "in", "NotIn": "notin"}


def selector(value: Object | None) -> str:
    """A LabelSelector as text."""
    if not value:
        return NONE
    parts = [(key, f"{key}={wanted}") for key, wanted in (value.get("matchLabels") or {}).items()]
    for each in value.get("matchExpressions") or ():
        parts.append((each["key"], _expression(each)))
    return ",".join(text for _, text in sorted(parts)) or NONE


def _expression(each: Object) -> str:
    if each["operator"] == "Exists":
        return str(each["key"])
    if each["operator"] == "DoesNotExist":
        return f"!{each['key']}"
    return (
        f"{each['key']} {WORDS.get(each['operator'], each['operator'])} ({','.join(sorted(each.get('values') or ()))})"
    )


def template(spec: Object) -> list[str]:
    """The cells for containers and images of a workload's pods."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [
        ",".join(each.get("name", "") for each in containers),
        ",".join(each.get("image", "") for each in containers),
    ]


def some(values: Sequence[str], most: int) -> str:
    """The first few, and how many more there are."""
    if not values:
        return NONE
    rest = f" + {len(values) - most} more..." if len(values) > most else ""
    return ",".join(values[:most]) + rest


def listed(values: Iterable[str] | None) -> str:
    return ",".join(values or ()) or NONE


def condition(status: Object, kind: str) -> Object:
    """A status's condition of this type; empty where there is none."""
    return next((each for each in status.get("conditions") or () if each.get("type") == kind), {})
