"""Times and amounts as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from kubeflow_lite import quantity

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def moment(text: str | None) -> datetime | None:
    """A Kubernetes timestamp, with or without fractions of a second."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text else None


def duration(seconds: float) -> str:
    """The two largest units, as kubectl does: "45s", "3m12s", "2h5m"."""
    rest = max(0, int(seconds))
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def age(text: str | None, now: datetime) -> str:
    then = moment(text)
    return duration((now - then).total_seconds()) if then else "–"


def cores(amount: str) -> str:
    """CPU in cores: "1.5"."""
    return f"{float(quantity.parse(amount)):.3g}"


def memory(amount: str) -> str:
    """Bytes in the largest binary unit that leaves at least one: "512 Mi"."""
    size = quantity.parse(amount)
    for unit, power in (("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if size >= 2**power:
            return f"{float(size / Fraction(2**power)):.3g} {unit}"
    return f"{int(size)}"
