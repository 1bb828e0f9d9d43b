"""The one registry of cluster providers, and the choice among them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from lab.clusters.base import Provider
from lab.clusters.sim import Sim
from lab.errors import LabError
from lab.settings import Settings

PROVIDERS: dict[str, Callable[[Settings], Provider]] = {"sim": Sim}


def detect(settings: Settings) -> tuple[Provider, str]:
    """The provider that the settings name, or for `auto` the best that works here, and why in a few words."""
    if settings.cluster != "auto":
        if settings.cluster not in PROVIDERS:
            raise LabError(
                f"cluster provider {settings.cluster} is not built yet", f"use one of: auto, {', '.join(PROVIDERS)}"
            )
        return PROVIDERS[settings.cluster](settings), "as asked"
    for name, usable in _USABLE.items():
        if name in PROVIDERS and usable():
            return PROVIDERS[name](settings), "found here"
    return PROVIDERS["sim"](settings), "no Docker with kind, no k3s"


_USABLE: dict[str, Callable[[], bool]] = {
    "kind": lambda: shutil.which("kind") is not None and os.access("/var/run/docker.sock", os.W_OK),
    "k3s": lambda: shutil.which("k3s") is not None and os.geteuid() == 0,
}
