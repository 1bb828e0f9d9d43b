"""Images made here, and a client of /v2 that shows every answer as it is."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

import httpx

from tests.awssim.running import Keys, Running

OCI = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer_of(files: dict[str, bytes]) -> bytes:
    """A gzipped tar, the same bytes for the same files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


@dataclass(frozen=True)
class Made:
    config: bytes
    layers: tuple[bytes, ...]

    def descriptor(self, media_type: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

    def manifest(self, **more: Any) -> bytes:
        layers = [self.descriptor(LAYER, layer) for layer in self.layers]
        value = {"schemaVersion": 2, "mediaType": OCI, "config": self.descriptor(CONFIG, self.config), "layers": layers}
        return json.dumps({**value, **more}).encode()

    @property
    def size(self) -> int:
        return len(self.config) + sum(len(layer) for layer in self.layers)


def image(files: dict[str, bytes], name: str = "x") -> Made:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"NAME={name}"]},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return Made(json.dumps(config).encode(), (layer_of(files),))


class Client(httpx.Client):
    """A registry client with a token of ``keys``' user."""

    def __init__(self, stand: Running, keys: Keys | None = None) -> None:
        data = stand.client("ecr", keys).get_authorization_token()["authorizationData"][0]
        super().__init__(
            base_url=stand.endpoint, headers={"Authorization": f"Basic {data['authorizationToken']}"}, timeout=20
        )
        self.password = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]

    def send_blob(self, repository: str, content: bytes) -> httpx.Response:
        begun = self.post(f"/v2/{repository}/blobs/uploads/")
        assert begun.status_code == 202, begun.text
        return self.put(begun.headers["location"], params={"digest": digest_of(content)}, content=content)

    def push(self, repository: str, made: Made, tag: str, **more: Any) -> httpx.Response:
        for content in (made.config, *made.layers):
            assert self.send_blob(repository, content).status_code == 201
        return self.put_manifest(repository, made.manifest(**more), tag)

    def put_manifest(self, repository: str, content: bytes, reference: str, media_type: str = OCI) -> httpx.Response:
        return self.put(
            f"/v2/{repository}/manifests/{reference}", content=content, headers={"Content-Type": media_type}
        )
