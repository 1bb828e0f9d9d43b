"""A requirements.lock in parts: packages that are published as source only are built when a bundle is made, so the lock's hashes are not theirs."""

from __future__ import annotations

import re
from collections.abc import Collection

SOURCE_ONLY = ("localstack-client",)
"""Of this lab's packages. Their source is checked against the lock when they are built; the wheel is in the bundle's manifest."""


def split(text: str, names: Collection[str] = SOURCE_ONLY) -> tuple[str, str]:
    """The lock without these packages, and with only these; each entry whole, with its hashes."""
    rest: list[str] = []
    chosen: list[str] = []
    into = rest
    for line in text.splitlines(keepends=True):
        if found := re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)==", line):
            into = chosen if _normal(found[1]) in names else rest
        into.append(line)
    return "".join(rest), "".join(chosen)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
