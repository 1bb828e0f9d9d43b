"""Two readings of a service's counters -> what happened between them. Pure: Prometheus's text in, numbers out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PREDICTIONS = ("/predict", "/v2/models")
_LINE = re.compile(r"^(serving_request_seconds_(?:bucket|count|sum))\{([^}]*)\} ([0-9.eE+-]+|\+Inf|NaN)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Reading:
    """One pod's counters of predictions: requests by upper bound of their seconds (cumulative, as Prometheus has them), all of them, seconds."""

    buckets: Mapping[float, float]
    count: float
    seconds: float


@dataclass(frozen=True)
class Between:
    """`rate` per second; latencies in milliseconds, None where nothing was asked."""

    rate: float
    median: float | None
    p95: float | None


def parse(text: str) -> Reading:
    """Routes that predict, added up: probes are no load."""
    buckets: dict[float, float] = {}
    count = seconds = 0.0
    for metric, listed, value in _LINE.findall(text):
        found = dict(_LABEL.findall(listed))
        if not found.get("route", "").startswith(PREDICTIONS):
            continue
        if metric.endswith("_bucket"):
            bound = float(found["le"].replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0.0) + float(value)
        elif metric.endswith("_count"):
            count += float(value)
        else:
            seconds += float(value)
    return Reading(buckets, count, seconds)


def between(old: Mapping[str, Reading], new: Mapping[str, Reading], seconds: float) -> Between:
    """Over all pods, by name. A pod that is new, or counts from zero again, has had all it counts in between."""
    grown: dict[float, float] = {}
    count = 0.0
    for pod, reading in new.items():
        before = old.get(pod)
        if before is None and old:
            # Seen for the first time: since when it has counted is not known.
            continue
        if before is None or before.count > reading.count:
            before = Reading({}, 0.0, 0.0) if before else reading
        count += reading.count - before.count
        for bound, value in reading.buckets.items():
            grown[bound] = grown.get(bound, 0.0) + value - before.buckets.get(bound, 0.0)
    rate = count / seconds if seconds > 0 else 0.0
    return Between(rate, quantile(grown, 0.5), quantile(grown, 0.95))


def quantile(buckets: Mapping[float, float], part: float) -> float | None:
    """In milliseconds, within a bucket as Prometheus's histogram_quantile: as if its requests were spread evenly."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    wanted, low, below = part * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if math.isinf(bound):
                return low * 1000
            inside = buckets[bound] - below
            return (low + (bound - low) * ((wanted - below) / inside if inside else 0.0)) * 1000
        low, below = bound, buckets[bound]
    return low * 1000


def utilization(used: Iterable[float], requested: float) -> float | None:
    """CPU used of CPU requested in percent, as the HorizontalPodAutoscaler counts; None where nothing is requested."""
    total = sum(used)
    return total / requested * 100 if requested else None
