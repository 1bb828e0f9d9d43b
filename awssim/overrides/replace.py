"""Replacing a function of another module, loudly where it is not there any more."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from awssim.errors import StandinError


def replace(module: ModuleType, name: str, make: Callable[[Any], Any]) -> None:
    """Put ``make(original)`` in the place of ``module.name``."""
    original = getattr(module, name, None)
    if original is None:
        raise StandinError(f"{module.__name__}.{name} is gone: this ministack is not the one awssim was written for")
    if getattr(original, "__awssim__", False):
        return
    changed = make(original)
    changed.__awssim__ = True
    setattr(module, name, changed)
