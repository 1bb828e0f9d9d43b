"""The lab's images on a real Docker engine: built of pinned wheels without a network, found again by what they were built of."""

from __future__ import annotations

from lab.build.images import ALL, Built, build, choose

__all__ = ["ALL", "Built", "build", "choose"]
