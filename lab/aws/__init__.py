"""The one registry of AWS providers, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable

from lab.aws.base import Provider
from lab.aws.localstack import LocalStack, worth_it
from lab.aws.real import Real
from lab.aws.standin import StandIn
from lab.messages import t
from lab.settings import Settings

PROVIDERS: dict[str, Callable[[Settings], Provider]] = {"standin": StandIn, "localstack": LocalStack, "real": Real}


def detect(settings: Settings, *, worth: Callable[[], tuple[bool, str]] = worth_it) -> tuple[Provider, str]:
    """The provider that the settings name, and why. `auto` takes LocalStack where Docker has its image, else the stand-in, which needs nothing."""
    if settings.aws != "auto":
        return _make(settings, settings.aws), t("as asked")
    found, why = worth()
    return _make(settings, "localstack" if found else "standin"), why


def _make(settings: Settings, name: str) -> Provider:
    """A provider's settings say which it is, so that ports follow from it."""
    return PROVIDERS[name](settings.model_copy(update={"aws": name}))
