"""An object's data and its sidecar replaced together: after kill -9 either both are new or both are old.

ministack writes the data file, then the sidecar: a kill between the two leaves an object with another one's size and ETag. Here the new
data and sidecar wait in ``staging`` and one small journal file, renamed into place, says where they go: that rename is the commit. What a
killed process had committed is carried out on the next start; what it had not is forgotten. After the commit nothing is written any more,
only renamed, so a disk that is full has said so before. A new object needs no journal: its sidecar is put in place first, and counts for
nothing until the data is there.
"""

import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from awssim.blobs import Blob, new_name
from awssim.files import private_directory, write_atomically
from awssim.sidecars import SUFFIX

log = logging.getLogger("awssim.journal")
_SIDECAR_FIRST, _DATA_FIRST = (SUFFIX, ""), ("", SUFFIX)


class Journal:
    def __init__(self, directory: Path) -> None:
        self.data = private_directory(directory / "data")
        self.staging = private_directory(directory / "staging")
        self.uploads = private_directory(directory / "uploads")
        self._entries = private_directory(directory / "journal")
        self._damaged = directory / "damaged"
        self.writes = 0

    def replace(self, path: Path, content: bytes | Blob, sidecar: dict[str, Any]) -> None:
        """Put ``content`` at ``path`` and ``sidecar`` beside it. Raises OSError with nothing changed, then or later."""
        self.writes += 1
        private_directory(path.parent)
        staged = new_name(self.staging)
        entry = self._entries / f"{staged.name}.json"
        new = [place for place in (path, _sidecar_of(path)) if not place.exists()]
        try:
            stage(staged, content)
            stage(_sidecar_of(staged), json.dumps(sidecar).encode())
            if len(new) == 2:
                _carry_out(staged, path, _SIDECAR_FIRST)
            else:
                write_atomically(entry, json.dumps({"path": str(path), "staged": staged.name}).encode())
                _carry_out(staged, path, _DATA_FIRST)
                entry.unlink()
        except BaseException:
            # Everything is written by now; only a new name in a directory may still find no room, and is taken back.
            for left in (entry, staged, _sidecar_of(staged), *new):
                with suppress(OSError):
                    left.unlink()
            raise

    def recover(self) -> int:
        """Carry out what was committed and forget the rest; how many entries were carried out."""
        carried = 0
        for entry in sorted(self._entries.glob("*.json")):
            try:
                line = json.loads(entry.read_text())
            except ValueError:
                entry.rename(
                    private_directory(self._damaged) / f"{entry.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
                )
                log.error(
                    "%s was damaged and is kept under %s: the write it stood for may be missing", entry, self._damaged
                )
                continue
            path = Path(line["path"])
            private_directory(path.parent)
            staged = self.staging / line["staged"]
            if "sidecar" in line:  # an entry of the first version
                write_atomically(_sidecar_of(staged), json.dumps(line["sidecar"]).encode())
            _carry_out(staged, path, _DATA_FIRST)
            entry.unlink()
            carried += 1
        for directory in (self.staging, self._entries):
            for left in directory.iterdir():
                left.unlink()
        if carried:
            log.warning("%d writes of the last run were carried out", carried)
        return carried


def _carry_out(staged: Path, path: Path, suffixes: Sequence[str]) -> None:
    for suffix in suffixes:
        with suppress(FileNotFoundError):  # carried out before the last process was killed
            staged.with_name(f"{staged.name}{suffix}").replace(f"{path}{suffix}")


def _sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}")


def stage(path: Path, content: bytes | Blob) -> None:
    """Put content at a new path."""
    if isinstance(content, Blob):
        content.place(path)
        return
    with path.open("xb") as file:
        file.write(content)
