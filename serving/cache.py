"""The last good model, on disk: what is served when MLflow or S3 is down.

One file, written whole and renamed into place; several pods may share the folder, and the last good model of any of them is good for
all. The first folder of MODEL_CACHE that can be written to is used; without one nothing is kept.
"""

from __future__ import annotations

import json
import os
import tempfile
from base64 import b64decode, b64encode
from dataclasses import asdict
from pathlib import Path

from serving.registry import Files, Version


class Cache:
    """Best effort in both directions: a cache that cannot be used is as if it were empty."""

    def __init__(self, folders: tuple[Path, ...], name: str) -> None:
        self.folder = next((folder for folder in folders if _usable(folder)), None)
        self.name = name

    @property
    def file(self) -> Path | None:
        return self.folder / f"{self.name}.json" if self.folder else None

    def save(self, version: Version, files: Files) -> None:
        """Keep a model that has passed its self-test."""
        if self.folder is None or self.file is None:
            return
        body = json.dumps(
            {
                "version": asdict(version),
                "profile": b64encode(files.profile).decode(),
                "model": b64encode(files.model).decode(),
            }
        )
        try:
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{self.name}.")
            with os.fdopen(handle, "w") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.file)
        except OSError:
            return

    def load(self) -> tuple[Version, Files] | None:
        """What was saved last; None where there is nothing, or nothing readable."""
        if self.file is None:
            return None
        try:
            found = json.loads(self.file.read_text())
            files = Files(profile=b64decode(found["profile"]), model=b64decode(found["model"]))
            return Version(**found["version"]), files
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
