"""Answers of /v2: OCI's error bodies, and what ECR's refusals are called there."""

import json
from collections.abc import Mapping

from awssim.asgi import Request, Send, closing, reply
from awssim.registry.errors import EcrError

API_VERSION = {"docker-distribution-api-version": "registry/2.0"}
_ECR = {
    "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
    "ImageTagAlreadyExistsException": ("TAG_INVALID", 400),
    "ImageDigestDoesNotMatchException": ("DIGEST_INVALID", 400),
    "LayersNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "ReferencedImagesNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "InvalidParameterException": ("MANIFEST_INVALID", 400),
}


class OciError(Exception):
    """A refusal with OCI's code."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: EcrError) -> "OciError":
        code, status = _ECR.get(error.code, ("UNKNOWN", 400))
        return cls(status, code, error.message)


async def answer(send: Send, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
    await reply(send, status, {**API_VERSION, **(headers or {})}, body)


async def refuse(send: Send, error: OciError, request: Request) -> None:
    body = json.dumps({"errors": [{"code": error.code, "message": error.message}]}).encode() + b"\n"
    headers = {"content-type": "application/json; charset=utf-8", "content-length": str(len(body)), **error.headers}
    await answer(send, error.status, headers | closing(request), b"" if request.method == "HEAD" else body)
