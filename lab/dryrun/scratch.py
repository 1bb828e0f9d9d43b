"""A copy of the lab's own folder that a dry run writes to: files need no second way of being written, and what differs is what would have been."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

_COPIED = ("users", "current")
"""Folders whose files tasks read. Others (a cluster's data, logs, wheels) are copied as empty ones: their providers read the real ones."""
_DEEP = 3
"""Names below that many folders are told as their folder."""


class Scratch:
    """`folder` stands for `state`, which may not exist yet. Files are copied with their modes: keys stay readable by this user only."""

    def __init__(self, state: Path, folder: Path) -> None:
        self.state = state
        self.folder = folder
        if state.is_dir():
            folder.mkdir(mode=0o700)
            for entry in state.iterdir():
                _copy(entry, folder / entry.name)
        self._before = _contents(folder)

    def real(self, path: Path) -> Path:
        """Where a path of the copy is in the lab's folder; other paths are themselves."""
        return self.state / path.relative_to(self.folder) if path.is_relative_to(self.folder) else path

    def changes(self) -> Iterator[tuple[str, str]]:
        """("write" or "remove", path) of all that differs now."""
        after = _contents(self.folder)
        written = [path for path, content in after.items() if content is not None and self._before.get(path) != content]
        yield from (("write", str(self.state / name)) for name in dict.fromkeys(_shallow(path) for path in written))
        gone = [path for path in self._before if path not in after]
        yield from (("remove", str(self.state / path)) for path in gone if not set(gone) & set(path.parents))


def _copy(entry: Path, to: Path) -> None:
    if entry.is_dir() and entry.name in _COPIED:
        shutil.copytree(entry, to)
    elif entry.is_dir():
        to.mkdir()
    elif entry.is_file():
        shutil.copy2(entry, to)


def _contents(folder: Path) -> dict[Path, bytes | None]:
    """Relative path -> content, None for a folder; in order. The lock says nothing."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.name != "lock"}
    return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}


def _shallow(path: Path) -> Path:
    return Path(*path.parts[:_DEEP])
