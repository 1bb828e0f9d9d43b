"""Every request's signature is checked here, root's too; what goes on is what was signed, by somebody who is known.

Without credentials only S3 may be asked, and only for a bucket that exists: its policy then decides (ministack's part).
"""

import datetime as dt
import hashlib
from typing import Any

from awssim import payload, sigv4
from awssim.asgi import App, Receive, Request, Scope, Send, body_of
from awssim.errors import BodyRefused, Refused
from awssim.refusals import refuse, service_of
from awssim.sigv4 import Signature
from awssim.stand import Stand

LARGEST_CALL = 16 * 1024 * 1024


class Signatures:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        service = ""
        try:
            signature = sigv4.read(request)
            service = service_of(request, signature.service if signature else "")
            scope["awssim.service"], scope["awssim.request"] = service, request
            receive = await self._checked(scope, receive, request, signature)
        except Refused as refusal:
            await refuse(send, request, service or service_of(request, ""), refusal)
        except payload.Disconnected:
            return
        else:
            await self._inner(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, request: Request, signature: Signature | None) -> Receive:
        service = scope["awssim.service"]
        if signature is None:
            self._stand.admit_anonymous(request, service)
            scope["awssim.payload"] = payload.of(request, receive, None, b"")
            return receive
        if signature.service not in self._stand.services:
            raise Refused("SignatureDoesNotMatch", f"This stand-in does not serve '{signature.service}'.")
        sigv4.check_time(signature, dt.datetime.now(dt.UTC))
        credential = self._stand.credential(signature.access_key_id, signature.session_token)
        scope["awssim.credential"] = credential
        key = sigv4.signing_key(signature, credential.secret_access_key)
        if service == "s3":
            sigv4.check(request, signature, key, _declared(request, signature))
            scope["awssim.payload"] = payload.of(request, receive, signature, key)
            return receive
        return body_of(await _whole_body(request, receive, signature, key))


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


Credential = Any
