"""The one registry of cluster providers, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable

from lab.clusters.base import Provider
from lab.clusters.current import Current
from lab.clusters.k3s import K3s
from lab.clusters.kind import Kind
from lab.clusters.sim import Sim
from lab.settings import Settings

PROVIDERS: dict[str, Callable[[Settings], Provider]] = {"sim": Sim, "kind": Kind, "k3s": K3s, "current": Current}


def detect(settings: Settings) -> tuple[Provider, str]:
    """The provider that the settings name, and why. `auto` is the simulator whatever is installed: a class has one lab, not one per laptop."""
    if settings.cluster == "auto":
        return Sim(settings), "needs no Docker"
    return PROVIDERS[settings.cluster](settings), "as asked"
