"""S3 bodies: whole and verified before ministack sees them; small ones in memory, large ones in a file.

Framing headers are gone from the request that goes on, and the checksums of a trailer are in.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from awssim import payload
from awssim.asgi import App, Receive, Request, Scope, Send, body_of, closing, reply
from awssim.blobs import IN_MEMORY, Blob, Spool
from awssim.dispatch import denied_upload
from awssim.errors import Refused
from awssim.overrides.objects import joined, received
from awssim.pipe import Pieces, Pipe
from awssim.refusals import refuse
from awssim.stand import Stand

log = logging.getLogger("awssim.bodies")
_FRAMING = (b"x-amz-decoded-content-length", b"x-amz-trailer", b"transfer-encoding", b"content-length", b"expect")
_LARGEST_OBJECT = 5 << 30
_LARGEST_CALL = 16 << 20


class Bodies:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand
        self._staging = stand.journal.staging
        self._uploads = stand.uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: payload.Payload | None = scope.get("awssim.payload")
        if body is None:
            await self._inner(scope, receive, send)
            return
        request: Request = scope["awssim.request"]
        if _is_large(request) and (
            denial := denied_upload(self._stand.ministack, self._stand.settings, scope, request)
        ):
            status, headers, text = denial
            await reply(send, status, headers | closing(request), text)
            return
        part = (request.parameter("uploadId"), request.parameter("partNumber"))
        try:
            with self._uploads.place(*part, body.length if _is_large(request) else None) as place:
                await self._store(scope, send, body, Spool(self._staging, _algorithms(request), place))
        except Refused as refusal:
            await refuse(send, request, "s3", refusal)
        except OSError as error:
            log.error("a body could not be stored: %s", error)
            full = Refused("ServiceUnavailable", f"The body could not be stored: {error.strerror}", status=503)
            await refuse(send, request, "s3", full)
        except payload.Disconnected:
            return

    async def _store(self, scope: Scope, send: Send, body: payload.Payload, spool: Spool) -> None:
        """Take the body in, and hand the request on with what it is now: a few bytes, or a file."""
        request: Request = scope["awssim.request"]
        try:
            content = await _received(body, spool, _LARGEST_OBJECT if _may_be_large(request) else _LARGEST_CALL)
            in_memory = b"" if isinstance(content, Blob) else content
            inner = {**scope, "headers": decoded_headers(scope, body, len(in_memory))}
            async with self._joined(request, in_memory):
                with _handed_on(content):
                    await self._inner(inner, body_of(in_memory), send)
        finally:
            spool.discard()

    @asynccontextmanager
    async def _joined(self, request: Request, body: bytes) -> AsyncIterator[None]:
        """Before a CompleteMultipartUpload: its parts in one file."""
        upload_id = request.parameter("uploadId") if request.method == "POST" else ""
        whole = await self._uploads.whole(upload_id, body) if upload_id else None
        token = joined.set(whole)
        try:
            yield
        finally:
            joined.reset(token)
            if whole:
                whole.path.unlink()


async def _received(body: payload.Payload, spool: Spool, limit: int) -> bytes | Blob:
    """The body, checked and written in other threads a block at a time, so that other requests are not held up."""
    digest, size = hashlib.sha256(), 0

    def check(pieces: Pieces) -> None:
        for piece in pieces:
            digest.update(piece)

    pipe = Pipe(spool.write, check) if body.hashed else Pipe(spool.write)
    try:
        async for data in body:
            size += len(data)
            if size > limit:
                raise Refused("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", status=400)
            await pipe.put(data)
        await pipe.end()
    except BaseException:
        await pipe.abandon()
        raise
    body.check(digest.hexdigest())
    return spool.finish()


@contextmanager
def _handed_on(content: bytes | Blob) -> Iterator[None]:
    token = received.set(content if isinstance(content, Blob) else None)
    try:
        yield
    finally:
        received.reset(token)


def _may_be_large(request: Request) -> bool:
    """Only objects and parts of callers who have signed may be large; every other call is a short text."""
    parameters = {name for name in request.query if not name.lower().startswith("x-amz-")}
    is_content = request.method == "PUT" and bool(request.key) and parameters <= _CONTENT_PARAMETERS
    return is_content and "authorization" in request.headers and "x-amz-copy-source" not in request.headers


def _is_large(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return _may_be_large(request) and (not length.isdigit() or int(length) > IN_MEMORY)


_CONTENT_PARAMETERS = {"partNumber", "uploadId", "x-id"}


def _algorithms(request: Request) -> list[str]:
    """The checksums a request names in its headers, in its trailer or by algorithm."""
    prefix = "x-amz-checksum-"
    named = [name.removeprefix(prefix) for name in request.headers if name.startswith(prefix)]
    named += [name.strip().removeprefix(prefix) for name in request.headers.get("x-amz-trailer", "").split(",")]
    named.append(request.headers.get("x-amz-sdk-checksum-algorithm", ""))
    return list(dict.fromkeys(name.upper() for name in named if name and name not in ("algorithm", "type", "mode")))


def decoded_headers(scope: Scope, body: payload.Payload, size: int) -> list[tuple[bytes, bytes]]:
    """The request's headers as they are once its body is decoded."""
    headers = []
    for name, value in scope["headers"]:
        if name.lower() in _FRAMING:
            continue
        if name.lower() == b"content-encoding":
            value = b",".join(part for part in value.split(b",") if part.strip() != b"aws-chunked")
            if not value:
                continue
        if name.lower() == b"x-amz-content-sha256" and value.startswith(b"STREAMING-"):
            value = b"UNSIGNED-PAYLOAD"
        headers.append((name, value))
    headers += [(name.encode(), value.encode()) for name, value in body.trailers.items()]
    if size or scope["method"] in ("PUT", "POST"):
        headers.append((b"content-length", str(size).encode()))
    return headers
