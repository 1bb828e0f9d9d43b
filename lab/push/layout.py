"""An OCI image as blobs: made of one of the simulator's images, or read from a folder in OCI's layout.

Making one is reproducible: names are sorted, times are zero and owners root, so that the same files have the same digest on every machine and a
second push sends nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kubesim.node.images import Image
from lab.errors import LabError
from lab.messages import t

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONTENTS = (
    "application files only: the base image and the packages of the Dockerfile are not in this image. "
    "The lab's simulator runs it; for Docker use ./inv build --push"
)


@dataclass(frozen=True)
class Blob:
    """Bytes in a file, or few enough to be at hand."""

    digest: str
    size: int
    path: Path | None = None
    data: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Blob:
        return cls(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), data=data)

    def open(self) -> IO[bytes]:
        return self.path.open("rb") if self.path else io.BytesIO(self.data)

    def read(self) -> bytes:
        """All of it: for manifests, which are small."""
        with self.open() as file:
            return file.read()


@dataclass(frozen=True)
class Layout:
    """A manifest and the blobs that it names, config first."""

    manifest: bytes
    blobs: tuple[Blob, ...]
    media_type: str = MANIFEST

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs)


def make(image: Image, store: Path) -> Layout:
    """One layer with the image's files and its config. `store` is where the simulator keeps the image's own description."""
    plain = _tar(image.root)
    layer = Blob.of(gzip.compress(plain, mtime=0))
    config = Blob.of(_json(_config(image, hashlib.sha256(plain).hexdigest(), store)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [_described(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
        "annotations": {"org.opencontainers.image.description": CONTENTS},
    }
    return Layout(_json(manifest), (config, layer))


def _config(image: Image, diff: str, store: Path) -> dict[str, Any]:
    platform = json.loads((store / image.digest.removeprefix("sha256:") / "config.json").read_text())
    labels = {**image.config["Labels"], "mlops-lab.contents": CONTENTS}
    filled = {key: value for key, value in {**image.config, "Labels": labels}.items() if value}
    history = [*platform["history"], {"created_by": "COPY (files of the build context)", "comment": "mlops-lab push"}]
    return {
        "architecture": platform["architecture"],
        "os": platform["os"],
        "config": filled,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
        "history": history,
    }


def _tar(root: Path) -> bytes:
    """Application files are small; a large layer would be written to a file instead."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in sorted(root.rglob("*")):
            entry = archive.gettarinfo(path, path.relative_to(root).as_posix())
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            if entry.isfile():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    return target.getvalue()


def read(folder: Path) -> Layout:
    """The one image of an OCI layout. Raises LabError where it has several, or where a blob is missing or damaged."""
    try:
        index = json.loads((folder / "index.json").read_text())
        (only,) = index["manifests"]
        manifest = _blob(folder, only["digest"]).read()
        parsed = json.loads(manifest)
        blobs = tuple(_blob(folder, item["digest"]) for item in (parsed["config"], *parsed["layers"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(
            t("{folder} is not an OCI layout with one image: {error}", folder=folder, error=error),
            t("make one: skopeo copy docker-daemon:NAME:TAG oci:FOLDER"),
        ) from None
    return Layout(manifest, blobs, str(only.get("mediaType", MANIFEST)))


def _blob(folder: Path, digest: str) -> Blob:
    algorithm, _, value = digest.partition(":")
    path = folder / "blobs" / algorithm / value
    if (found := _hash(path)) != digest:
        raise LabError(
            t("{path} is damaged: its content is {found}", path=path, found=found),
            t("make the folder again: skopeo copy docker-daemon:NAME:TAG oci:FOLDER"),
        )
    return Blob(digest, path.stat().st_size, path=path)


def _hash(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        for block in _blocks(file):
            total.update(block)
    return f"sha256:{total.hexdigest()}"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(1 << 20):
        yield block


def _described(blob: Blob, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
