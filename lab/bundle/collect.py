"""`invoke bundle`: everything that a rehearsal without a network needs, in one file.

For `sim` that is the lab itself and its wheels. The other providers say what they need besides (`Capabilities.tools` and `.images`), and the
lab's own images are built; all of it is fetched into the lab's folder first, so a second bundle fetches nothing.
"""

from __future__ import annotations

import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lab import tools
from lab.build.wheels import Target, provide
from lab.bundle import archive, manifest
from lab.bundle.install import sum_of
from lab.bundle.manifest import File, Manifest
from lab.clusters import supply
from lab.clusters.base import IMAGES, Provider
from lab.errors import LabError
from lab.settings import ROOT, Settings

GLIBC = "2.28"
"""The oldest C library that its wheels may need: distributions of 2018 and newer."""
PIP = ROOT / "lab" / "bundle" / "pip.lock"
_NOT_SOURCE = {".git", ".venv", ".lab", "bundle", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}


def collect(
    settings: Settings, provider: Provider, output: Path, *, say: Callable[[str], None], root: Path = ROOT
) -> Manifest:
    """Write the bundle; returns what is in it. Raises LabError for what cannot be had, before anything is written."""
    _require_place(output)
    lock = root / "requirements.lock"
    source = {name: root / name for name in source_files(root)}
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".bundle-") as draft:
        files = {f"wheels/{path.name}": path for path in _wheels(settings, lock, say)}
        files |= {f"tools/{path.name}": path for path in _tools(settings, provider, say)}
        files |= {f"images/{path.name}": path for path in _images(settings, provider, Path(draft), say)}
        described = _describe(provider.name, lock, files, source)
        say(f"writing {output}: {len(files)} files, {sum(one.size for one in described.files) / 1e6:.0f} MB")
        archive.write(output, described, files, source)
    return described


def _require_place(output: Path) -> None:
    if not output.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.zst")):
        raise LabError(f"{output.name} is not the name of a bundle", "for example: -o lab.tar.zst (or .tar.gz, .tar)")
    if not output.parent.is_dir():
        raise LabError(f"there is no folder {output.parent}", f"mkdir -p {output.parent}")


def source_files(root: Path) -> list[str]:
    """The lab itself: what git tracks, as it is now; in a folder that a bundle made, everything that is not the lab's to make."""
    done = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if (root / ".git").exists() and done.returncode == 0:
        return [name for name in done.stdout.split("\0") if (root / name).is_file()]
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path) for path in paths if not _NOT_SOURCE & set(path.parts))


def _wheels(settings: Settings, lock: Path, say: Callable[[str], None]) -> Iterable[Path]:
    machine, python = manifest.here()
    say(f"packages for Python {python} on {machine}")
    target = Target(python, machine, GLIBC)
    return [wheel for file in (lock, PIP) for wheel in provide(file, target, settings.state / "wheels")]


def _tools(settings: Settings, provider: Provider, say: Callable[[str], None]) -> Iterable[Path]:
    known = tools.known(supply.architecture()) if provider.capabilities.tools else {}
    return [path for name in provider.capabilities.tools for path in tools.fetch(settings.state, known[name], say=say)]


def _images(settings: Settings, provider: Provider, draft: Path, say: Callable[[str], None]) -> Iterable[Path]:
    """The lab's own, and those of others by the digest they are pinned to; in the archive these have their tag only."""
    if provider.capabilities.runs_images_as != "containers":
        return []
    tags = [item.tag for item in supply.ready(settings, IMAGES)]
    for pinned in provider.capabilities.images:
        say(f"image {pinned.partition('@')[0]}")
        supply.docker("pull", "--quiet", pinned, seconds=3600)
        supply.docker("tag", pinned, pinned.partition("@")[0])
        tags.append(pinned.partition("@")[0])
    for tag in tags:
        supply.save(tag, draft / supply.file_name(tag))
    return sorted(draft.iterdir())


def _describe(cluster: str, lock: Path, files: dict[str, Path], source: dict[str, Path]) -> Manifest:
    _, python = manifest.here()
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Manifest(cluster, platform.machine(), python, sum_of(lock), made, listed(files), listed(source))


def listed(files: Mapping[str, Path]) -> tuple[File, ...]:
    """Files by their names, with what tells whether they are whole."""
    return tuple(File(name, path.stat().st_size, sum_of(path)) for name, path in sorted(files.items()))
