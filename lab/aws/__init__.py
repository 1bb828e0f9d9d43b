"""The one registry of AWS providers, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable

from lab.aws.base import Provider
from lab.aws.real import Real
from lab.aws.standin import StandIn
from lab.errors import LabError
from lab.settings import Settings

PROVIDERS: dict[str, Callable[[Settings], Provider]] = {"standin": StandIn, "real": Real}


def detect(settings: Settings) -> tuple[Provider, str]:
    """The provider that the settings name; `auto` takes the stand-in, which needs nothing."""
    if settings.aws == "auto":
        return PROVIDERS["standin"](settings), "needs no Docker and no account"
    if settings.aws not in PROVIDERS:
        raise LabError(f"AWS provider {settings.aws} is not built yet", f"use one of: auto, {', '.join(PROVIDERS)}")
    return PROVIDERS[settings.aws](settings), "as asked"
