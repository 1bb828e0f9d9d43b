"""What an image is built of: its Dockerfile and the files that it copies, as a digest and as a build context.

Pure but for reading those files. The digest covers every byte that can change the result: Dockerfile, copied files (the lock among them, which
fixes the wheels by their hashes), the base image's id and the platform. Times and owners are not part of it, so that a fresh clone finds the
images of an older one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kubesim.node import dockerfile
from lab.clusters.base import Image
from lab.errors import LabError
from lab.messages import t

WHEELS = "wheels"


@dataclass(frozen=True)
class Recipe:
    """One image's Dockerfile and files, by their names in the build context."""

    image: Image
    dockerfile: str
    files: tuple[tuple[str, Path], ...]

    @property
    def lock(self) -> Path:
        """Its pinned and hashed packages, beside the Dockerfile."""
        return self.image.dockerfile.with_name("requirements.lock")

    def digest(self, *, base: str, platform: str) -> str:
        """Hexadecimal; the same for the same content wherever the repository lies."""
        files = [(name, _executable(path), hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in self.files]
        return hashlib.sha256(json.dumps([self.dockerfile, files, base, platform]).encode()).hexdigest()

    def write_context(self, target: IO[bytes], wheels: Sequence[Path]) -> None:
        """A tar archive of exactly what the Dockerfile copies, and the wheels."""
        with tarfile.open(fileobj=target, mode="w") as archive:
            _add(archive, "Dockerfile", io.BytesIO(self.dockerfile.encode()), len(self.dockerfile.encode()))
            named = [*self.files, *((f"{WHEELS}/{path.name}", path) for path in wheels)]
            for name, path in named:
                with path.open("rb") as file:
                    _add(archive, name, file, path.stat().st_size, executable=_executable(path))


def read(image: Image) -> Recipe:
    """Raises LabError where the Dockerfile cannot be read, or copies what is not there."""
    try:
        text = image.dockerfile.read_text()
        sources = _copied(text)
    except (OSError, dockerfile.DockerfileError) as error:
        raise LabError(
            t("image {tag}: {why}", tag=image.tag, why=error), t("see {path}", path=image.dockerfile)
        ) from None
    files = sorted({name: path for source in sources for name, path in _found(image, source)}.items())
    return Recipe(image, text, tuple(files))


def _copied(text: str) -> list[str]:
    """The sources of every COPY from the context, in all stages."""
    steps = [
        step for step in dockerfile.instructions(text) if step.name in ("COPY", "ADD") and "from" not in step.flags
    ]
    return [source for step in steps for source in step.text.split()[:-1]]


def _found(image: Image, source: str) -> Iterator[tuple[str, Path]]:
    matches = sorted(image.context.glob(source))
    if not matches and "*" not in source:
        raise LabError(
            t("image {tag}: {source} is not in {context}", tag=image.tag, source=source, context=image.context),
            t("see {path}", path=image.dockerfile),
        )
    for match in matches:
        for path in sorted(match.rglob("*")) if match.is_dir() else [match]:
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield path.relative_to(image.context).as_posix(), path


def _executable(path: Path) -> bool:
    return os.access(path, os.X_OK)


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes], size: int, *, executable: bool = False) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o755 if executable else 0o644
    archive.addfile(entry, file)
