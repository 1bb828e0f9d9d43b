"""The one registry of cluster providers, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable

from lab.clusters.base import Provider
from lab.clusters.sim import Sim
from lab.messages import t
from lab.settings import Settings


def _kind(settings: Settings) -> Provider:
    from lab.clusters.kind import Kind

    return Kind(settings)


def _k3s(settings: Settings) -> Provider:
    from lab.clusters.k3s import K3s

    return K3s(settings)


def _current(settings: Settings) -> Provider:
    from lab.clusters.current import Current

    return Current(settings)


PROVIDERS: dict[str, Callable[[Settings], Provider]] = {"sim": Sim, "kind": _kind, "k3s": _k3s, "current": _current}
"""Those that are not asked for are not imported: every command starts here."""


def detect(settings: Settings) -> tuple[Provider, str]:
    """The provider that the settings name, and why. `auto` is the simulator whatever is installed: a class has one lab, not one per laptop."""
    if settings.cluster == "auto":
        return Sim(settings), t("needs no Docker")
    return PROVIDERS[settings.cluster](settings), t("as asked")
