"""Image scans: the Python and Debian packages found in an image's layers, against the advisories this package carries.

Findings are never invented: a package and a version that are in the image, an advisory that names them. An image with nothing that can be
judged is UNSUPPORTED_IMAGE with the reason; both lists say of what day they are, and so does the report's description.
"""

import functools
import gzip
import json
import re
import tarfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from awssim.registry import debian
from awssim.registry.manifests import INDEXES, InvalidManifest, parse
from awssim.registry.store import Image, Store

_METADATA = re.compile(r"(?:^|/)([A-Za-z0-9][A-Za-z0-9._-]*)-([0-9][^-/]*)\.(?:dist-info/METADATA|egg-info/PKG-INFO)$")
_STATUS = "var/lib/dpkg/status"
_LARGEST_FILE = 64 << 20
_LAYERS = ("tar", "tar+gzip", "tar.gzip")
_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")


@dataclass(frozen=True)
class Advisory:
    name: str
    package: str
    fixed: str
    severity: str
    description: str
    since: str = ""


@functools.cache
def advisories() -> tuple[str, tuple[Advisory, ...]]:
    """The list's date and its advisories."""
    value = json.loads(Path(__file__).with_name("advisories.json").read_text())
    return str(value["date"]), tuple(Advisory(**item) for item in value["advisories"])


def in_progress(now: float) -> dict[str, Any]:
    return {"status": "IN_PROGRESS", "description": "The scan is in progress.", "at": now}


def report(image: Image, store: Store) -> dict[str, Any]:
    """A finished scan of an image, as it is stored: status, description, findings."""
    if image.media_type in INDEXES:
        return _unsupported("UnsupportedImageError: an image index is scanned image by image.")
    try:
        found = contents(image, store)
    except (InvalidManifest, OSError, tarfile.TarError, zlib.error, EOFError) as error:
        return _unsupported(f"UnsupportedImageError: a layer could not be read ({error}).")
    if not found.python and not found.debian:
        return _unsupported(f"UnsupportedImageError: no Python packages were found, {_why_not_debian(found)}.")
    date, known = advisories()
    findings = [
        _finding(advisory, found.python[advisory.package]) for advisory in known if _affects(advisory, found.python)
    ]
    findings += [_fix(*lack) for lack in debian.lacking(found.debian)]
    findings.sort(key=lambda item: (_SEVERITIES.index(item["severity"]), item["name"]))
    judged = f"{len(found.python)} Python packages, advisories of {date}"
    if found.debian:
        judged += f"; {len(found.debian)} source packages of Debian {found.release}, fixes until {debian.fixes()[0]}"
    elif found.packages:
        judged += f"; {_why_not_debian(found)}"
    description = f"The scan was completed successfully: {judged}."
    return {"status": "COMPLETE", "description": description, "at": time.time(), "findings": findings}


def _why_not_debian(found: "Contents") -> str:
    if not found.packages:
        return "and no Debian packages"
    return f"and its Debian packages are of release {found.release or 'unknown'}, not {debian.fixes()[1]}"


def _unsupported(reason: str) -> dict[str, Any]:
    return {"status": "UNSUPPORTED_IMAGE", "description": reason, "at": time.time(), "findings": []}


@dataclass
class Contents:
    """What an image's layers hold, each layer over the ones before it."""

    python: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    release: str = ""

    @property
    def debian(self) -> dict[str, str]:
        """Debian's packages, where the list is of the image's release."""
        return self.packages if self.release == debian.fixes()[1] else {}


def contents(image: Image, store: Store) -> Contents:
    found = Contents()
    manifest = json.loads(image.content)
    parse(image.content, image.media_type)
    for layer in manifest.get("layers", []):
        if str(layer.get("mediaType", "")).endswith(_LAYERS):
            with store.path(layer["digest"]).open("rb") as file:
                _read_layer(found, file)
    return found


def _read_layer(found: Contents, file: IO[bytes]) -> None:
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    with tarfile.open(fileobj=gzip.GzipFile(fileobj=file) if compressed else file, mode="r|") as archive:
        for member in archive:
            name = member.name.removeprefix("./").removeprefix("/")
            if match := _METADATA.search(name):
                found.python[normalized(match.group(1))] = match.group(2)
            elif member.isfile() and member.size <= _LARGEST_FILE:
                _read_file(found, name, archive, member)


def _read_file(found: Contents, name: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    is_status, is_release = name == _STATUS, name in debian.RELEASE_FILES
    if not is_status and not is_release and not name.startswith(f"{_STATUS}.d/"):
        return
    file = archive.extractfile(member)
    text = file.read().decode("utf-8", "replace") if file else ""
    if is_release:
        found.release = debian.release(text) or found.release
    elif is_status:
        found.packages = debian.packages(text)
    else:
        found.packages |= debian.packages(text)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _affects(advisory: Advisory, found: dict[str, str]) -> bool:
    version = found.get(advisory.package)
    return version is not None and order(advisory.since or "0") <= order(version) < order(advisory.fixed)


def order(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparing releases; what follows the release segment does not count."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release.group().split(".")] if release else [0]
    return tuple(numbers + [0] * (6 - len(numbers)))


def _finding(advisory: Advisory, version: str) -> dict[str, Any]:
    return {
        "name": advisory.name,
        "description": f"{advisory.description} Fixed in {advisory.package} {advisory.fixed}.",
        "uri": f"https://nvd.nist.gov/vuln/detail/{advisory.name}",
        "severity": advisory.severity,
        "attributes": [
            {"key": "package_name", "value": advisory.package},
            {"key": "package_version", "value": version},
        ],
    }


def _fix(name: str, package: str, version: str, fixed: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"Fixed in Debian's {package} {fixed}.",
        "uri": f"https://security-tracker.debian.org/tracker/{name}",
        "severity": "UNDEFINED",
        "attributes": [{"key": "package_name", "value": package}, {"key": "package_version", "value": version}],
    }


def counts(findings: list[dict[str, Any]]) -> dict[str, int]:
    """How many findings of each severity."""
    return {name: number for name in _SEVERITIES if (number := sum(item["severity"] == name for item in findings))}
