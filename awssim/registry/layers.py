"""ECR's own way to send and fetch layers, for clients that do not speak /v2: parts of 5 to 20 MB, and addresses that need no credentials."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

from awssim.registry import names
from awssim.registry.errors import EcrError
from awssim.registry.registry import Registry
from awssim.registry.uploads import Uploads

_PART = 20 * 1024 * 1024
_GOOD_FOR = 3600
PATH = "/_awssim/layers/"

Call = dict[str, Any]


class Layers:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._uploads = Uploads(registry.store.uploads)
        self.operations: dict[str, Callable[[Call, str], dict[str, Any]]] = {
            "InitiateLayerUpload": self.begin, "UploadLayerPart": self.part, "CompleteLayerUpload": self.complete,
            "GetDownloadUrlForLayer": self.address,
        }  # fmt: skip

    def _key(self, call: Call, region: str) -> str:
        self._registry.repository(str(call.get("repositoryName", "")), region)
        return self._registry.key(call["repositoryName"], region)

    def begin(self, call: Call, region: str) -> dict[str, Any]:
        return {"uploadId": self._uploads.begin(self._key(call, region)), "partSize": _PART}

    def part(self, call: Call, region: str) -> dict[str, Any]:
        upload = self._find(call, region)
        try:
            data = base64.b64decode(call.get("layerPartBlob", ""), validate=True)
        except binascii.Error as error:
            raise EcrError("InvalidParameterException", "Invalid parameter at 'layerPartBlob'") from error
        first, last = int(call.get("partFirstByte", -1)), int(call.get("partLastByte", -1))
        if first != upload.size or last != first + len(data) - 1:
            raise EcrError(
                "InvalidLayerPartException", f"The part must begin at byte {upload.size} and be as long as it says"
            )
        upload.append([data])
        return {**self._about(call), "uploadId": call["uploadId"], "lastByteReceived": upload.size - 1}

    def complete(self, call: Call, region: str) -> dict[str, Any]:
        upload, digests = self._find(call, region), call.get("layerDigests") or []
        if len(digests) != 1 or not names.is_digest(digests[0]):
            raise EcrError("InvalidParameterException", "Invalid parameter at 'layerDigests'")
        if not upload.size:
            raise EcrError("EmptyUploadException", "The upload has no parts")
        if upload.digest(digests[0].partition(":")[0]) != digests[0]:
            raise EcrError("InvalidLayerException", f"The layer's digest is not {digests[0]}")
        self._registry.store.add_blob(self._key(call, region), digests[0], upload.path)
        self._uploads.forget(call["uploadId"])
        return {**self._about(call), "uploadId": call["uploadId"], "layerDigest": digests[0]}

    def _find(self, call: Call, region: str) -> Any:
        from awssim.registry.answers import OciError

        try:
            return self._uploads.find(self._key(call, region), str(call.get("uploadId", "")))
        except OciError as error:
            raise EcrError("UploadNotFoundException", f"There is no upload {call.get('uploadId')}") from error

    def _about(self, call: Call) -> dict[str, Any]:
        return {"registryId": self._registry.settings.account, "repositoryName": call["repositoryName"]}

    def address(self, call: Call, region: str) -> dict[str, Any]:
        digest = str(call.get("layerDigest", ""))
        if self._registry.store.size(self._key(call, region), digest) is None:
            raise EcrError(
                "LayersNotFoundException", f"The layer with digest '{digest}' does not exist in the repository"
            )
        path = f"{PATH}{digest}"
        expires = int(time.time()) + _GOOD_FOR
        signature = self._registry.tokens.sign(f"{digest}:{expires}")
        host = f"{self._registry.settings.address}:{self._registry.settings.port}"
        scheme = "https" if self._registry.settings.tls_certificate else "http"
        return {
            "downloadUrl": f"{scheme}://{host}{path}?expires={expires}&signature={signature}",
            "layerDigest": digest,
        }


def genuine(registry: Registry, digest: str, expires: str, signature: str) -> bool:
    """Is this an address that was handed out, and still good?"""
    if not expires.isdigit() or int(expires) < time.time():
        return False
    expected = registry.tokens.sign(f"{digest}:{expires}")
    return hmac.compare_digest(hashlib.sha256(expected.encode()).digest(), hashlib.sha256(signature.encode()).digest())
