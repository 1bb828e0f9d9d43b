"""Image scans: the Python packages found in an image's layers, against the advisories this package carries.

Findings are never invented: a package and a version that are in the image, an advisory that names them. An image without Python packages
is UNSUPPORTED_IMAGE with the reason; the advisory list is short and says of what day it is, and so does the report's description.
"""

import functools
import gzip
import json
import re
import tarfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from awssim.registry.manifests import INDEXES, InvalidManifest, parse
from awssim.registry.store import Image, Store

_METADATA = re.compile(r"(?:^|/)([A-Za-z0-9][A-Za-z0-9._-]*)-([0-9][^-/]*)\.(?:dist-info/METADATA|egg-info/PKG-INFO)$")
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
        found = packages(image, store)
    except (InvalidManifest, OSError, tarfile.TarError, zlib.error, EOFError) as error:
        return _unsupported(f"UnsupportedImageError: a layer could not be read ({error}).")
    if not found:
        return _unsupported("UnsupportedImageError: no Python packages were found, and this scanner knows no others.")
    date, known = advisories()
    findings = [_finding(advisory, found[advisory.package]) for advisory in known if _affects(advisory, found)]
    findings.sort(key=lambda item: (_SEVERITIES.index(item["severity"]), item["name"]))
    description = f"The scan was completed successfully: {len(found)} Python packages, advisories of {date}."
    return {"status": "COMPLETE", "description": description, "at": time.time(), "findings": findings}


def _unsupported(reason: str) -> dict[str, Any]:
    return {"status": "UNSUPPORTED_IMAGE", "description": reason, "at": time.time(), "findings": []}


def packages(image: Image, store: Store) -> dict[str, str]:
    """The Python packages of an image, by normalized name; a later layer's version wins."""
    found: dict[str, str] = {}
    manifest = json.loads(image.content)
    parse(image.content, image.media_type)
    for layer in manifest.get("layers", []):
        if str(layer.get("mediaType", "")).endswith(_LAYERS):
            with store.path(layer["digest"]).open("rb") as file:
                found.update(_packages_of(file))
    return found


def _packages_of(file: IO[bytes]) -> dict[str, str]:
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    found = {}
    with tarfile.open(fileobj=gzip.GzipFile(fileobj=file) if compressed else file, mode="r|") as archive:
        for member in archive:
            match = _METADATA.search(member.name)
            if match:
                found[normalized(match.group(1))] = match.group(2)
    return found


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


def counts(findings: list[dict[str, Any]]) -> dict[str, int]:
    """How many findings of each severity."""
    return {name: number for name in _SEVERITIES if (number := sum(item["severity"] == name for item in findings))}
