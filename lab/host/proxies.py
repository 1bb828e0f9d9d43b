"""Proxies of the user's shell: everything of the lab is on this machine, and what is on this machine is not asked of a proxy."""

from __future__ import annotations

from collections.abc import Mapping

LOCAL = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")
_NAMES = ("http_proxy", "https_proxy", "all_proxy")


def set_here(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables that are set, by their names as written."""
    return {key: value for key, value in environ.items() if key.lower() in _NAMES and value}


def bypass(environ: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment so that local names go past its proxies; nothing where it has none, or knows them already.

    Both spellings are set, because curl reads one and Go the other.
    """
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name for name in (part.strip() for part in listed.split(",")) if name]
    missing = [name for name in LOCAL if name not in names]
    if not set_here(environ) or not missing or "*" in names:
        return {}
    joined = ",".join([*names, *missing])
    return {"no_proxy": joined, "NO_PROXY": joined}
