"""Every request's signature is checked here, root's too; what goes on is what was signed, by somebody who is known.

Without credentials only S3 may be asked, and only for a bucket that exists: its policy then decides (ministack's part).
"""

import datetime as dt
import hashlib
import re

from awssim import payload, sigv4
from awssim.asgi import App, Receive, Request, Scope, Send, body_of
from awssim.errors import BodyRefused, Refused
from awssim.refusals import refuse, service_of
from awssim.sigv4 import Signature
from awssim.stand import Stand

LARGEST_CALL = 16 * 1024 * 1024
_REPLACED = (b"host", b"authorization", b"forwarded")
_VIRTUAL_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.(?:s3(?:[.-][a-z0-9.-]+)?|localhost(?:\.localstack\.cloud)?)"
)


class Signatures:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        service, scope = "", dict(scope)
        try:
            signature = (
                None if request.method == "OPTIONS" else sigv4.read(request)
            )  # a browser's preflight signs nothing
            service = service_of(request, signature.service if signature else "")
            scope["awssim.service"] = service
            receive = await self._checked(scope, receive, request, signature)
        except Refused as refusal:
            await refuse(send, request, service or service_of(request, ""), refusal)
        except payload.Disconnected:
            return
        else:
            await self._inner(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, request: Request, signature: Signature | None) -> Receive:
        """Check a request, and leave in its scope what the layers inside may rely on."""
        service = scope["awssim.service"]
        if signature is None:
            scope.update(established(scope, request, service, None))
            self._stand.admit_anonymous(scope["awssim.request"], service)
            scope["awssim.payload"] = payload.of(request, receive, None, b"")
            return receive
        if signature.service not in self._stand.services:
            raise Refused("SignatureDoesNotMatch", f"This stand-in does not serve '{signature.service}'.")
        sigv4.check_time(signature, dt.datetime.now(dt.UTC))
        credential = self._stand.credential(signature.access_key_id, signature.session_token)
        key = sigv4.signing_key(signature, credential.secret_access_key)
        scope.update(established(scope, request, service, signature))
        if service == "s3":
            sigv4.check(request, signature, key, _declared(request, signature))
            scope["awssim.payload"] = payload.of(request, receive, signature, key)
            return receive
        return body_of(await _whole_body(request, receive, signature, key))


def established(scope: Scope, request: Request, service: str, signature: Signature | None) -> Scope:
    """The scope that goes on: nothing in it says anything about the caller but what has been checked.

    ministack looks for a key in the header by its own pattern and in the query by two spellings, trusts ``X-Forwarded-Proto``, and takes
    hosts of many shapes for other services. It gets one Authorization header made from the signature that was checked, and a bucket that
    stood in the host stands in the path.
    """
    bucket = _bucket_of_host(request.headers.get("host", "")) if service == "s3" else ""
    raw_path = f"/{bucket}{request.raw_path}" if bucket else request.raw_path
    headers = [
        line
        for line in scope["headers"]
        if line[0].lower() not in _REPLACED and not line[0].lower().startswith(b"x-forwarded-")
    ]
    headers.append((b"host", _own_host(scope)))
    if signature:
        headers.append((b"authorization", _authorization(signature).encode()))
        if signature.session_token:
            headers = [line for line in headers if line[0].lower() != b"x-amz-security-token"]
            headers.append((b"x-amz-security-token", signature.session_token.encode()))
    path = f"/{bucket}{scope['path']}" if bucket else scope["path"]
    going_on = {**scope, "path": path, "raw_path": raw_path.encode("latin-1"), "headers": headers}
    return {**going_on, "awssim.request": Request.of(going_on)}


def _own_host(scope: Scope) -> bytes:
    address, port = scope.get("server") or ("127.0.0.1", 4566)
    return f"{address}:{port}".encode()


def _authorization(signature: Signature) -> str:
    credential = f"{signature.access_key_id}/{signature.scope}"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signature.signed_headers}, Signature={signature.value}"


def _bucket_of_host(host: str) -> str:
    match = _VIRTUAL_HOST.fullmatch(host.rpartition(":")[0] or host)
    return match["bucket"] if match else ""


def _declared(request: Request, signature: Signature) -> str:
    """S3 signs the payload hash its client declares; a presigned address signs none."""
    if signature.presigned:
        return sigv4.UNSIGNED
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        raise Refused(
            "MissingContentSHA256", "Missing required header for this request: x-amz-content-sha256", status=400
        )
    return declared


async def _whole_body(request: Request, receive: Receive, signature: Signature, key: bytes) -> bytes:
    body = await payload.Payload(receive=receive).read(LARGEST_CALL)
    digest = hashlib.sha256(body).hexdigest()
    if request.headers.get("x-amz-content-sha256", digest) not in (digest, sigv4.UNSIGNED):
        raise BodyRefused(
            "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    sigv4.check(request, signature, key, digest)
    return body
