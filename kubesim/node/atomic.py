"""Folders of files that change all at once, as the kubelet writes ConfigMaps, Secrets and tokens.

    name -> ..data/name        a link per top-level entry
    ..data -> ..2026_...       swapped by one rename
    ..2026_.../name            the files

A reader sees the old set or the new one, never a mixture.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH208
from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """One file of a payload."""

    data: bytes
    mode: int = 0o644


class UnsafePath(ValueError):
    """A path of the payload leaves its folder."""


def write(folder: Path, payload: Mapping[str, File], *, group: int | None = None) -> bool:
    """Make `folder` hold exactly `payload` (by relative path); False where it did already. `group` may read every file."""
    for path in payload:
        _check(path)
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / "..data"
    if current.exists() and _read(current) == dict(payload):
        return False
    fresh = Path(tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime()), dir=folder))
    fresh.chmod(0o755)
    for path, file in payload.items():
        _write(fresh, path, file, group)
    _swap(folder, fresh)
    return True


def _check(path: str) -> None:
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or parts[0].startswith("..") or len(path) > 4096:
        raise UnsafePath(f"invalid path in volume: {path!r}")


def _write(fresh: Path, path: str, file: File, group: int | None) -> None:
    target = fresh / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.data)
    target.chmod(file.mode | (0o040 if group is not None else 0))
    if group is not None:
        os.chown(target, -1, group)


def _swap(folder: Path, fresh: Path) -> None:
    old = folder / "..data"
    previous = old.resolve() if old.is_symlink() else None
    link = folder / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.replace(old)
    wanted = set(os.listdir(fresh))
    for name in wanted:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for entry in os.listdir(folder):
        if not entry.startswith("..") and entry not in wanted:
            (folder / entry).unlink()
    if previous is not None:
        shutil.rmtree(previous, ignore_errors=True)


def _read(folder: Path) -> dict[str, File]:
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base, name)
            found[path.relative_to(folder).as_posix()] = File(path.read_bytes(), path.stat().st_mode & 0o777)
    return found
