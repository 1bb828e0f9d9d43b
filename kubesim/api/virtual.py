"""Kinds that are computed when someone asks, and stored nowhere: metrics.k8s.io."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kubesim.resources import Object


class Virtual(Protocol):
    """The objects of one kind as they are now. Both methods are synchronous."""

    def list(self, namespace: str) -> Sequence[Object]:
        """Of one namespace, or of all where it is ""."""
        ...

    def get(self, namespace: str, name: str) -> Object | None: ...
