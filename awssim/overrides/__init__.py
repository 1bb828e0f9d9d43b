"""Corrections of ministack, each in a small module that says what was wrong: upstream functions replaced by name, the version pinned.

A test per correction fails when a new ministack no longer needs it, or no longer has the name.
"""

from awssim.overrides import denials, resources, signatures, variables
from awssim.settings import Settings


def apply(settings: Settings) -> None:
    """Apply every correction, once, after ministack is imported."""
    signatures.apply()
    variables.apply()
    resources.apply()
    denials.apply()
