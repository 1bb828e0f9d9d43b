"""Corrections of ministack, each in a small module that says what was wrong: upstream functions replaced by name, the version pinned.

A test per correction fails when a new ministack no longer needs it, or no longer has the name.
"""

from awssim.journal import Journal
from awssim.overrides import (
    callers,
    configurations,
    denials,
    listing,
    loading,
    locks,
    managed,
    multipart,
    objects,
    places,
    policies,
    principals,
    reads,
    resources,
    routes,
    sessions,
    signatures,
    variables,
)
from awssim.sidecars import Sidecars


def apply(journal: Journal, sidecars: Sidecars) -> multipart.Uploads:
    """Apply every correction, once, after ministack is imported; the uploads under way are handed back."""
    signatures.apply()
    sessions.apply()
    callers.apply()
    managed.apply()
    variables.apply()
    principals.apply()
    resources.apply()
    denials.apply()
    objects.apply(journal)
    places.apply()
    locks.apply()
    loading.apply(sidecars)
    reads.apply()
    listing.apply()
    policies.apply()
    configurations.apply()
    routes.apply()
    return multipart.apply(journal)
