"""How far what is asked has moved from what the model was trained on: a population stability index per feature.

Under 0.1 nothing moved, over 0.25 the model sees other data than it knows. Counted per bin of the training data's histogram, the newest
requests weighing most: when WINDOW rows are counted, all counts are halved.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from serving.model import Feature, Rows

WINDOW, FEWEST = 10_000, 50
_FLOOR = 1e-4  # an empty bin's share: the logarithm of zero says nothing


class Drift:
    """The counts of one model. Not thread-safe: the event loop's only."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.counts = [[0.0] * len(feature.shares) for feature in self.features]
        self._pairs = list(zip(self.counts, (feature.edges for feature in self.features), strict=True))
        self.rows = 0.0

    def one(self, values: Sequence[float]) -> None:
        """Count a row."""
        for (counts, edges), value in zip(self._pairs, values, strict=False):
            counts[bisect_left(edges, value)] += 1
        self.rows += 1
        if self.rows > WINDOW:
            self._halve()

    def many(self, rows: Rows) -> None:
        """Count a batch."""
        for column, (counts, edges) in enumerate(self._pairs):
            bins = np.searchsorted(np.asarray(edges), rows[:, column], side="left")
            for place, number in enumerate(np.bincount(bins, minlength=len(counts)).tolist()):
                counts[place] += number
        self.rows += len(rows)
        while self.rows > WINDOW:
            self._halve()

    def _halve(self) -> None:
        for counts in self.counts:
            counts[:] = [count / 2 for count in counts]
        self.rows /= 2

    def index(self) -> dict[str, float]:
        """Feature -> index; empty until enough rows were seen to say anything."""
        if self.rows < FEWEST:
            return {}
        return {
            feature.name: _stability(feature.shares, counts)
            for feature, counts in zip(self.features, self.counts, strict=True)
        }


def _stability(expected: Sequence[float], counts: Sequence[float]) -> float:
    total = sum(counts)
    pairs = ((max(share, _FLOOR), max(count / total, _FLOOR)) for share, count in zip(expected, counts, strict=True))
    return sum((seen - share) * math.log(seen / share) for share, seen in pairs)
