"""manifest.json: what a bundle holds and whom it is for."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.errors import LabError
from lab.messages import t

FORMAT = 1
CLONE = "mlops-lab/"
FOLDER = CLONE + "bundle/"
NAME = FOLDER + "manifest.json"


@dataclass(frozen=True)
class File:
    """A file of the bundle, by its path below `bundle/`; `size` in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    cluster: str
    machine: str
    """x86_64 or aarch64, as `uname -m` says."""
    python: str
    """The minor version that its wheels are for: "3.11"."""
    lock: str
    """SHA-256 of the requirements.lock that its wheels are the packages of."""
    made: str
    files: tuple[File, ...]
    source: tuple[File, ...] = ()
    """The clone beside bundle/, by paths below it: checked in the archive, and nobody's business once somebody works with it."""
    format: int = FORMAT

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def here() -> tuple[str, str]:
    """This machine and this Python, in the manifest's words."""
    return platform.machine(), f"{sys.version_info.major}.{sys.version_info.minor}"


def read(text: str, *, source: str) -> Manifest:
    """Raises LabError naming the bundle where it is not one of ours, or made by a newer lab."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] != FORMAT:
            raise LabError(
                t(
                    "{source} has format {format}, this lab reads format {known}",
                    source=source,
                    format=found["format"],
                    known=FORMAT,
                ),
                t("use the lab inside it: tar -xf it, then cd mlops-lab && ./inv up"),
            )
        files, clone = _files(found.pop("files")), _files(found.pop("source"))
        return Manifest(**{**_strings(found), "files": files, "source": clone, "format": FORMAT})
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(
            t(
                "{source} is not a bundle of this lab: its manifest.json is damaged ({error})",
                source=source,
                error=error,
            )
        ) from None


def _files(listed: list[dict[str, Any]]) -> tuple[File, ...]:
    return tuple(File(str(one["path"]), int(one["size"]), str(one["sha256"])) for one in listed)


def _strings(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) for key, value in found.items() if key != "format"}


def require_machine(manifest: Manifest, *, source: str) -> None:
    """Raises LabError naming the bundle where it is for another kind of processor."""
    machine, _ = here()
    if manifest.machine != machine:
        raise LabError(
            t(
                "{source} is for {machine}, this machine is {here}",
                source=source,
                machine=manifest.machine,
                here=machine,
            ),
            t(
                "make one on a machine like this one: ./inv bundle --cluster {cluster} -o lab.tar.zst",
                cluster=manifest.cluster,
            ),
        )


def require_lock(manifest: Manifest, lock: str, *, source: str) -> None:
    """Raises LabError where its wheels are not the packages of this clone."""
    if manifest.lock != lock:
        raise LabError(
            t(
                "{source} was made for another version of the lab: its packages are not those of this requirements.lock",
                source=source,
            ),
            t("use the lab inside it: tar -xf it, then cd mlops-lab && ./inv up"),
        )
