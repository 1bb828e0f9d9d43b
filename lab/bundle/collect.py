"""`invoke bundle`: everything that a rehearsal without a network needs, in one file.

For `sim` that is the lab itself and its wheels. The other providers say what they need besides (`Capabilities.tools` and `.images`), and the
lab's own images are built; all of it is fetched into the lab's folder first, so a second bundle fetches nothing.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from lab import tools
from lab.build.wheels import Target, pip, provide
from lab.bundle import archive, locks, manifest
from lab.bundle.install import sum_of
from lab.bundle.manifest import File, Manifest
from lab.clusters import supply
from lab.clusters.base import IMAGES, Provider
from lab.errors import LabError, ToolMissing
from lab.host import shell
from lab.messages import t
from lab.settings import ROOT, Settings
from lab.world import World

GLIBC = "2.28"
"""The oldest C library that its wheels may need: distributions of 2018 and newer."""
INSTALLERS = ROOT / "lab" / "bundle" / "installers.lock"
_NOT_SOURCE = {".git", ".venv", ".lab", "bundle", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}


class Told(Protocol):
    """Who is told of a bundle in the making: `say` lines that stay, `at` how far the step is that goes on now."""

    def say(self, text: str) -> None: ...

    def at(self, text: str) -> None: ...


def collect(world: World, output: Path, *, told: Told, root: Path = ROOT) -> Manifest:
    """Write the bundle; returns what is in it. Raises LabError for what cannot be had, before anything is written."""
    _require_place(output)
    settings, provider = world.settings, world.provider
    lock = root / "requirements.lock"
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".bundle-") as draft:
        files = _wheels(settings, lock, told)
        files |= {f"tools/{path.name}": path for path in _tools(settings, provider, told)}
        files |= {f"images/{path.name}": path for path in _images(world, Path(draft, "images"), told)}
        source = _snapshot(root, Path(draft, "source"))
        told.at(t("checksums"))
        described = _describe(provider.name, lock, files, source)
        size = sum(one.size for one in described.files)
        told.say(t("writing {name}: {count} files, {size:.0f} MB", name=output.name, count=len(files), size=size / 1e6))
        archive.write(output, described, files, source, at=told.at)
    return described


def _require_place(output: Path) -> None:
    if not output.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.zst")):
        raise LabError(
            t("{name} is not the name of a bundle", name=output.name),
            t("for example: -o lab.tar.zst (or .tar.gz, .tar)"),
        )
    if not output.parent.is_dir():
        raise LabError(t("there is no folder {parent}", parent=output.parent), f"mkdir -p {output.parent}")


def _snapshot(root: Path, folder: Path) -> dict[str, Path]:
    """The lab as it is at one moment: somebody may go on editing it while minutes of packages and images are collected."""
    for name in source_files(root):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, folder / name)
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def source_files(root: Path) -> list[str]:
    """The lab itself: what git tracks, as it is now; in a folder that a bundle made, everything that is not the lab's to make."""
    if (root / ".git").exists() and shutil.which("git"):
        listed_by_git = shell.run(["git", "-C", str(root), "ls-files", "-z"]).split("\0")
        return [name for name in listed_by_git if name and (root / name).is_file()]
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path) for path in paths if not _NOT_SOURCE & set(path.parts))


def _wheels(settings: Settings, lock: Path, told: Told) -> dict[str, Path]:
    machine, python = manifest.here()
    told.say(t("packages for Python {python} on {machine}", python=python, machine=machine))
    target, store = Target(python, machine, GLIBC), settings.state / "wheels"
    published, source_only = locks.split(lock.read_text())
    found = [
        wheel
        for file in (_kept(store / "lab", published), INSTALLERS)
        for wheel in provide(file, target, store, told.at)
    ]
    built = _build(_kept(store / "source-only", source_only)) if source_only else []
    return {f"wheels/{path.name}": path for path in found} | {f"built/{path.name}": path for path in built}


def _kept(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "requirements.lock"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        for old in folder.glob("*.whl"):
            old.unlink()
    return path


def _build(lock: Path) -> list[Path]:
    """Wheels of packages that are published as source; what is built is what the lock's hashes say."""
    if not (found := sorted(lock.parent.glob("*.whl"))):
        options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--quiet"]
        shell.run([*pip(), "wheel", *options, "-r", str(lock), "--wheel-dir", str(lock.parent)])
        found = sorted(lock.parent.glob("*.whl"))
    return found


def _tools(settings: Settings, provider: Provider, told: Told) -> Iterable[Path]:
    known = tools.known(supply.architecture()) if provider.capabilities.tools else {}
    return [
        path for name in provider.capabilities.tools for path in tools.fetch(settings.state, known[name], say=told.say)
    ]


def _images(world: World, draft: Path, told: Told) -> Iterable[Path]:
    """The lab's own, and those of others by the digest they are pinned to; in the archive these have their tag only."""
    draft.mkdir()
    capabilities = world.provider.capabilities
    if capabilities.runs_images_as == "containers":
        for item in supply.ready(world.settings, IMAGES):
            told.at(t("saving {tag}", tag=item.tag))
            _save(item.tag, draft, item.archive)
    for pinned in (*capabilities.images, *world.aws.capabilities.images):
        tag = pinned.partition("@")[0]
        shelved = supply.shelf(world.settings, tag)
        if shelved is None:
            told.say(t("image {tag}", tag=tag))
            _pull(pinned, tag)
        _save(tag, draft, shelved)
    return sorted(draft.iterdir())


def _pull(pinned: str, tag: str) -> None:
    """One that is here by its digest is not asked for again."""
    if not supply.docker("images", "--quiet", pinned):
        try:
            supply.docker("pull", "--quiet", pinned, seconds=3600)
        except ToolMissing:
            raise
        except LabError as error:
            raise LabError(
                t("image {tag} cannot be pulled: {reason}", tag=tag, reason=error.message.splitlines()[-1]),
                t("with a network the same command works; without one: docker load -i FILE with {image}", image=pinned),
            ) from None
    supply.docker("tag", pinned, tag)


def _save(tag: str, draft: Path, archive_of_it: Path | None) -> None:
    """From Docker, or from the bundle that this lab itself came with."""
    path = draft / supply.file_name(tag)
    if archive_of_it is None:
        supply.save(tag, path)
    else:
        shutil.copyfile(archive_of_it, path)


def _describe(cluster: str, lock: Path, files: dict[str, Path], source: dict[str, Path]) -> Manifest:
    _, python = manifest.here()
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Manifest(cluster, platform.machine(), python, sum_of(lock), made, listed(files), listed(source))


def listed(files: Mapping[str, Path]) -> tuple[File, ...]:
    """Files by their names, with what tells whether they are whole."""
    return tuple(File(name, path.stat().st_size, sum_of(path)) for name, path in sorted(files.items()))
