"""What a manifest says: its media type, the content it needs, its size. Pure."""

from dataclasses import dataclass
from typing import Any

from awssim import documents
from awssim.registry.names import is_digest

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGES = (DOCKER, OCI)
INDEXES = (DOCKER_LIST, OCI_INDEX)
LARGEST = 4 << 20


class InvalidManifest(Exception):
    """The text is not a manifest this registry takes."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest's meaning. ``blobs`` are config and layers, ``children`` the manifests of an index."""

    media_type: str
    blobs: dict[str, int]
    children: tuple[str, ...]
    config_type: str
    artifact_type: str
    subject: str
    annotations: dict[str, str]

    @property
    def size(self) -> int:
        return sum(self.blobs.values())


def parse(content: bytes, media_type: str) -> Manifest:
    """Read a manifest; ``media_type`` is what its sender called it, and must agree with the text."""
    try:
        value = documents.read(content)
    except ValueError as error:
        raise InvalidManifest(f"manifest is not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise InvalidManifest("manifest's schemaVersion must be 2")
    declared = value.get("mediaType") or media_type or _guess(value)
    if media_type and media_type.partition(";")[0] != declared:
        raise InvalidManifest(f"manifest's mediaType {declared} is not the Content-Type {media_type}")
    if declared not in (*IMAGES, *INDEXES):
        raise InvalidManifest(f"media type {declared} is not supported")
    return _index(value, declared) if declared in INDEXES else _image(value, declared)


def _guess(value: dict[str, Any]) -> str:
    return OCI_INDEX if "manifests" in value else OCI


def _image(value: dict[str, Any], media_type: str) -> Manifest:
    config = _descriptor(value.get("config"))
    layers = [_descriptor(layer) for layer in _list(value.get("layers"))]
    needed = [config, *(layer for layer in layers if not layer.get("urls"))]
    return Manifest(
        media_type=media_type, blobs={item["digest"]: item["size"] for item in needed}, children=(),
        config_type=str(config.get("mediaType", "")), artifact_type=str(value.get("artifactType") or config.get("mediaType", "")),
        subject=_subject(value), annotations=_annotations(value),
    )  # fmt: skip


def _index(value: dict[str, Any], media_type: str) -> Manifest:
    children = tuple(_descriptor(item)["digest"] for item in _list(value.get("manifests")))
    return Manifest(
        media_type=media_type, blobs={}, children=children, config_type="", artifact_type=str(value.get("artifactType", "")),
        subject=_subject(value), annotations=_annotations(value),
    )  # fmt: skip


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidManifest("manifest has no list of layers or manifests")
    return value


def _descriptor(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not is_digest(str(value.get("digest", ""))):
        raise InvalidManifest("a descriptor has no valid digest")
    if type(value.get("size")) is not int or value["size"] < 0:
        raise InvalidManifest(f"descriptor {value['digest']} has no valid size")
    return value


def _subject(value: dict[str, Any]) -> str:
    return str(_descriptor(value["subject"])["digest"]) if value.get("subject") else ""


def _annotations(value: dict[str, Any]) -> dict[str, str]:
    found = value.get("annotations")
    return found if isinstance(found, dict) else {}
