"""Debian's packages in an image, and which of Debian's fixes they lack. Pure, but for the list this package carries.

The list was made from the changelogs of Debian 12's own packages, so it is of one release: an image of another one is not judged by it.
Severities are not in changelogs; the findings have none.
"""

import functools
import json
import re
from pathlib import Path

_PART = re.compile(r"(\D*)(\d*)")
RELEASE_FILES = ("etc/os-release", "usr/lib/os-release")


@functools.cache
def fixes() -> tuple[str, str, dict[str, dict[str, list[str]]]]:
    """The list's date, the release it is for, and by source package and version what that version fixed."""
    value = json.loads(Path(__file__).with_name("debian.json").read_text())
    return str(value["date"]), str(value["release"]), value["fixed"]


def packages(status: str) -> dict[str, str]:
    """The installed source packages of a dpkg status file, with their versions."""
    found = {}
    for paragraph in re.split(r"\n\s*\n", status):
        fields: dict[str, str] = dict(re.findall(r"^(Package|Source|Version|Status): *(.+)$", paragraph, re.MULTILINE))
        if (
            "Package" in fields
            and "Version" in fields
            and fields.get("Status", "ok installed").endswith("ok installed")
        ):
            source = re.fullmatch(r"(\S+)(?: \((\S+)\))?", fields.get("Source", fields["Package"]).strip())
            if source:
                found[source.group(1)] = source.group(2) or fields["Version"].strip()
    return found


def release(text: str) -> str:
    """Debian's release by an os-release file; nothing where it is another system."""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    return fields.get("VERSION_ID", "") if fields.get("ID") == "debian" else ""


def lacking(found: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """(CVE, package, installed version, fixed version) of every fix that an image of this release lacks."""
    _, _, known = fixes()
    return sorted(
        (name, package, found[package], fixed)
        for package in found.keys() & known.keys()
        for fixed, cves in known[package].items()
        if older(found[package], fixed)
        for name in cves
    )


def older(version: str, other: str) -> bool:
    """Debian's order of versions: epoch, then upstream version, then revision; ``~`` sorts before the end."""
    return _key(version) < _key(other)


def _key(version: str) -> tuple[int, list[tuple[list[int], int]], list[tuple[list[int], int]]]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return int(epoch) if epoch.isdigit() else 0, _parts(upstream), _parts(revision)


def _parts(text: str) -> list[tuple[list[int], int]]:
    """Runs of other characters and of digits in turn; each run of others ends with what the end of a text counts as."""
    return [([*map(_order, letters), 0], int(digits or 0)) for letters, digits in _PART.findall(text)]


def _order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
