"""Images on disk: content in files named by their digest and shared by all repositories, and one SQLite index of who has what.

A file is renamed into place before the index names it, so the index never names content that is not there; what a killed process left
unnamed is swept. The index is SQLite in WAL mode: a committed transaction survives kill -9, and a damaged one is made again (`index`).
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awssim.files import private_directory
from awssim.registry.index import Index
from awssim.registry.manifests import Manifest

_UNUSED_FOR = 3600.0
_PULL_RECORDED_EVERY = 60.0


@dataclass(frozen=True, kw_only=True)
class Image:
    """A stored manifest, with the tags that point at it."""

    repository: str
    digest: str
    media_type: str
    artifact_type: str
    config_type: str
    subject: str
    size: int
    pushed_at: float
    pulled_at: float | None
    content: bytes
    tags: tuple[str, ...]

    def descriptor(self) -> dict[str, Any]:
        """The manifest as a list of referrers has it."""
        described: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}
        if self.artifact_type:
            described["artifactType"] = self.artifact_type
        if annotations := json.loads(self.content).get("annotations"):
            described["annotations"] = annotations
        return described


class Store:
    """Repositories here are keys (``region/name``); whether one exists is ECR's to say."""

    def __init__(self, directory: Path) -> None:
        self._blobs = private_directory(directory / "blobs")
        self.uploads = private_directory(directory / "uploads")
        self._index = Index(directory)
        self._db = self._index.db

    def close(self) -> None:
        self._index.close()

    def path(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        return self._blobs / algorithm / value[:2] / value

    def size(self, repository: str, digest: str) -> int | None:
        """A blob's size, or None where the repository has no such blob."""
        row = self._db.execute(
            "SELECT size FROM blob WHERE repository = ? AND digest = ?", (repository, digest)
        ).fetchone()
        return row[0] if row else None

    def add_blob(self, repository: str, digest: str, file: Path) -> None:
        """Take over a finished file whose digest has been checked."""
        size, target = file.stat().st_size, self.path(digest)
        private_directory(target.parent)
        file.rename(target)
        self._link(repository, digest, size)

    def mount(self, repository: str, digest: str, source: str) -> bool:
        size = self.size(source, digest)
        if size is None:
            return False
        self._link(repository, digest, size)
        return True

    def _link(self, repository: str, digest: str, size: int) -> None:
        self._index.change("blob", repository, digest, size, time.time())

    def delete_blob(self, repository: str, digest: str) -> None:
        self._index.change("no blob", repository, digest)

    def put_manifest(self, repository: str, digest: str, content: bytes, manifest: Manifest, tag: str) -> None:
        """Store a manifest and let ``tag`` (where there is one) point at it, in one transaction."""
        size = manifest.size or max([self._size_of(repository, child) for child in manifest.children], default=0)
        about = (manifest.media_type, manifest.artifact_type, manifest.config_type, manifest.subject)
        with self._index.transaction():
            self._index.change("manifest", repository, digest, *about, size, time.time(), None, content)
            for item in (*manifest.blobs, *manifest.children):
                self._index.change("needs", repository, digest, item)
            if tag:
                self._index.change("tag", repository, tag, digest, time.time())

    def _size_of(self, repository: str, digest: str) -> int:
        found = self.image(repository, digest)
        return found.size if found else 0

    def image(self, repository: str, reference: str) -> Image | None:
        """The image a tag or a digest names."""
        digest = reference if ":" in reference else self.tagged(repository, reference)
        images = self._images("repository = ? AND digest = ?", (repository, digest or ""))
        return images[0] if images else None

    def images(self, repository: str) -> list[Image]:
        return self._images("repository = ?", (repository,))

    def referrers(self, repository: str, subject: str) -> list[Image]:
        return self._images("repository = ? AND subject = ?", (repository, subject))

    def _images(self, where: str, values: tuple[str, ...]) -> list[Image]:
        columns = (
            "repository, digest, media_type, artifact_type, config_type, subject, size, pushed_at, pulled_at, content"
        )
        rows = self._db.execute(
            f"SELECT {columns} FROM manifest WHERE {where} ORDER BY pushed_at, rowid", values
        ).fetchall()
        return [
            Image(
                repository=row[0], digest=row[1], media_type=row[2], artifact_type=row[3], config_type=row[4], subject=row[5],
                size=row[6], pushed_at=row[7], pulled_at=row[8], content=row[9], tags=self._tags_of(row[0], row[1]),
            )
            for row in rows
        ]  # fmt: skip

    def _tags_of(self, repository: str, digest: str) -> tuple[str, ...]:
        rows = self._db.execute(
            "SELECT tag FROM tag WHERE repository = ? AND digest = ? ORDER BY tag", (repository, digest)
        )
        return tuple(row[0] for row in rows)

    def tagged(self, repository: str, tag: str) -> str | None:
        row = self._db.execute("SELECT digest FROM tag WHERE repository = ? AND tag = ?", (repository, tag)).fetchone()
        return row[0] if row else None

    def tags(self, repository: str) -> list[str]:
        return [
            row[0] for row in self._db.execute("SELECT tag FROM tag WHERE repository = ? ORDER BY tag", (repository,))
        ]

    def parents(self, repository: str, digest: str) -> list[str]:
        """The indexes that need a manifest."""
        rows = self._db.execute("SELECT manifest FROM needs WHERE repository = ? AND digest = ?", (repository, digest))
        return [row[0] for row in rows]

    def pulled(self, repository: str, digest: str) -> None:
        """Remember that an image was pulled; not more often than once a minute."""
        now = time.time()
        self._db.execute(
            "UPDATE manifest SET pulled_at = ? WHERE repository = ? AND digest = ? AND coalesce(pulled_at, 0) < ?",
            (now, repository, digest, now - _PULL_RECORDED_EVERY),
        )

    def untag(self, repository: str, tag: str) -> None:
        self._index.change("no tag", repository, tag)

    def delete_images(self, repository: str, digests: Iterable[str]) -> None:
        with self._index.transaction():
            for digest in digests:
                for change in ("no manifest", "no tags", "no needs"):
                    self._index.change(change, repository, digest)
                self._db.execute("DELETE FROM scan WHERE repository = ? AND digest = ?", (repository, digest))

    def delete_repository(self, repository: str) -> None:
        with self._index.transaction():
            for change in ("no manifests of", "no tags of", "no needs of", "no blobs of"):
                self._index.change(change, repository)
            self._db.execute("DELETE FROM scan WHERE repository = ?", (repository,))

    def report(self, repository: str, digest: str) -> str | None:
        row = self._db.execute(
            "SELECT report FROM scan WHERE repository = ? AND digest = ?", (repository, digest)
        ).fetchone()
        return row[0] if row else None

    def set_report(self, repository: str, digest: str, report: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO scan VALUES (?, ?, ?)", (repository, digest, report))

    def sweep(self, *, unused_for: float = _UNUSED_FOR) -> int:
        """Forget blobs no manifest needs, and remove files no repository has; the number of files removed.

        What arrived within ``unused_for`` seconds is spared: it may belong to a push under way. Nothing is swept beside a damaged index.
        """
        before = time.time() - unused_for
        if self._index.damaged:
            return 0  # whoever looks at the index that was set aside may find it names them
        self._index.change("unused", before)
        removed = 0
        for file in (*self._blobs.glob("*/*/*"), *self.uploads.iterdir()):
            digest = f"{file.parent.parent.name}:{file.name}"
            used = self._db.execute("SELECT 1 FROM blob WHERE digest = ?", (digest,)).fetchone()
            if not used and file.stat().st_mtime < before:
                with suppress(FileNotFoundError):
                    file.unlink()
                removed += 1
        return removed
