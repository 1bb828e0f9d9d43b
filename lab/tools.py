"""Programs that a provider needs and that a machine may lack: found in .lab/bin or on PATH, fetched only when asked (`invoke tools`).

What is fetched is one version, named in lab/tools.yaml with the SHA-256 of its publisher's release; it is checked as it arrives, and becomes
a file of .lab/bin only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.bundle import shelf
from lab.errors import LabError, ToolMissing
from lab.messages import t
from lab.settings import ROOT

CATALOGUE = ROOT / "lab" / "tools.yaml"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Download:
    """A file and what it must be: its SHA-256, or the address of its publisher's list of sums, which must have `listed` too."""

    name: str
    url: str
    sha256: str = ""
    sums: str = ""
    listed: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Tool:
    name: str
    version: str
    install: str
    program: Download
    others: tuple[Download, ...] = field(default=())
    """What comes with it and is no program."""


def known(architecture: str, path: Path = CATALOGUE) -> dict[str, Tool]:
    """The catalogue, for an architecture in the words of its publishers (amd64, arm64)."""
    return {name: _tool(name, entry, architecture) for name, entry in yaml.safe_load(path.read_text()).items()}


def _tool(name: str, entry: Mapping[str, Any], arch: str) -> Tool:
    def filled(text: str) -> str:
        # k3s names the usual machine's file without an architecture
        return text.replace("{-arch}", "" if arch == "amd64" else f"-{arch}").replace("{arch}", arch)

    if arch not in entry["sha256"]:
        raise LabError(
            t("there is no {name} {version} for {arch}", name=name, version=entry["version"], arch=arch),
            t("install one: {install}", install=entry["install"]),
        )
    program = Download(name, filled(entry["url"]), entry["sha256"][arch])
    extra = entry.get("with")
    file = Path(filled(extra["url"])).name if extra else ""
    listed = (Path(program.url).name, program.sha256)
    others = (Download(file, filled(extra["url"]), sums=filled(extra["sums"]), listed=listed),) if extra else ()
    return Tool(name, entry["version"], entry["install"], program, others)


def folder(state: Path) -> Path:
    return state / "bin"


def find(state: Path, name: str) -> str | None:
    """The lab's own program before the machine's, fetched or from a bundle: its version is the one that was tested."""
    own = (folder(state) / name, shelf.find(state, f"tools/{name}"))
    found = next((str(path) for path in own if path is not None and os.access(path, os.X_OK)), None)
    return found or shutil.which(name)


def need(state: Path, name: str, tool: Tool) -> str:
    """Where the program is; raises ToolMissing with the two ways to get it."""
    found = find(state, name)
    if found is None:
        raise ToolMissing(
            t("{name} is not installed", name=name),
            t(
                "./inv tools {name} fetches {version} into {folder} (SHA-256 checked), or install it: {install}",
                name=name,
                version=tool.version,
                folder=folder(state),
                install=tool.install,
            ),
        )
    return found


def fetch(state: Path, tool: Tool, *, say: Callable[[str], None]) -> list[Path]:
    """The program, and what comes with it, into .lab/bin; what is there and whole is left as it is."""
    made = []
    for item in (tool.program, *tool.others):
        path = folder(state) / item.name
        wanted = item.sha256 or _listed(item)
        if path.exists() and _sum(path) == wanted:
            say(t("{path} is {name} {version} already", path=path, name=tool.name, version=tool.version))
        else:
            say(t("fetching {url}", url=item.url))
            _download(item.url, wanted, path)
        path.chmod(0o755 if item == tool.program else 0o644)
        made.append(path)
    return made


def _listed(item: Download) -> str:
    """The sum of a file in its publisher's list. Raises LabError where the list does not agree with what is pinned."""
    with _open(item.sums) as answer:
        lines = [line.split() for line in answer.read(1 << 20).decode(errors="replace").splitlines()]
    sums = {name.lstrip("*"): value for value, name in (line for line in lines if len(line) == 2)}
    name, pinned = item.listed
    if sums.get(name) != pinned:
        raise LabError(
            t(
                "{source} says {said} of {name}, lab/tools.yaml {pinned}",
                source=item.sums,
                said=sums.get(name),
                name=name,
                pinned=pinned,
            ),
            t("do not use either"),
        )
    if item.name not in sums:
        raise LabError(t("{sums} does not list {name}", sums=item.sums, name=item.name))
    return str(sums[item.name])


def _download(url: str, sha256: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    digest = hashlib.sha256()
    try:
        with _open(url) as answer, draft.open("wb") as file:
            while piece := answer.read(_PIECE):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            raise LabError(
                t(
                    "{url} is not what it should be: its SHA-256 is {found}, wanted {sha256}; nothing was kept",
                    url=url,
                    found=digest.hexdigest(),
                    sha256=sha256,
                ),
                t("a proxy that changes downloads? try another network"),
            )
        draft.replace(path)
    except OSError as error:
        raise LabError(
            t("the download of {url} broke off: {error}", url=url, error=error), t("run the same command again")
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def _open(url: str) -> Any:
    try:
        return urllib.request.urlopen(url, timeout=60)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise LabError(
            t("cannot fetch {url}: {reason}", url=url, reason=reason),
            t("without a network: ./inv up --bundle FILE brings its own tools"),
        ) from None


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
