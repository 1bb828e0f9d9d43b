"""A request's body, decoded and checked while it streams: what arrives is what was signed, or an error.

S3 clients send a body four ways, named by ``x-amz-content-sha256``: with its hash, unsigned, in ``aws-chunked`` frames each with a
signature chained to the last, or in such frames with checksums in a trailer. A caller must not act on a body before the iteration has
ended and its digest is checked: only then is it whole and genuine.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from awssim.asgi import Receive, Request
from awssim.errors import BodyRefused
from awssim.pipe import Piece
from awssim.sigv4 import UNSIGNED, Signature, sign

_EMPTY = hashlib.sha256(b"").hexdigest()
_LONGEST_LINE = 8192


class Disconnected(Exception):
    """The client went before its body was complete."""


@dataclass
class Chain:
    """The signatures of ``aws-chunked`` frames: each covers its data and the signature before it."""

    key: bytes
    signature: Signature
    previous: str = ""

    def __post_init__(self) -> None:
        self.previous = self.signature.value

    def check(self, digest: str, provided: str) -> None:
        self._check("AWS4-HMAC-SHA256-PAYLOAD", [_EMPTY, digest], provided)

    def check_trailer(self, digest: str, provided: str) -> None:
        self._check("AWS4-HMAC-SHA256-TRAILER", [digest], provided)

    def _check(self, algorithm: str, digests: list[str], provided: str) -> None:
        text = "\n".join([algorithm, self.signature.time, self.signature.scope, self.previous, *digests])
        expected = sign(self.key, text)
        if not hmac.compare_digest(expected.encode(), provided.encode()):
            raise BodyRefused("SignatureDoesNotMatch", "The signature of a chunk of the body does not match.")
        self.previous = expected


@dataclass
class Payload:
    """A body to iterate over once. ``trailers`` is filled when the iteration has ended."""

    receive: Receive
    declared: str = UNSIGNED
    chain: Chain | None = None
    framed: bool = False
    length: int | None = None
    trailers: dict[str, str] = field(default_factory=dict)
    _piece: memoryview = field(default=memoryview(b""), repr=False)
    _at: int = 0
    _ended: bool = False

    async def __aiter__(self) -> AsyncIterator[Piece]:
        size = 0
        async for data in self._frames() if self.framed else self._raw():
            size += len(data)
            yield data
        if self.length is not None and size != self.length:
            raise BodyRefused(
                "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"
            )

    @property
    def hashed(self) -> bool:
        """Did the client declare the SHA-256 of the body? It is for who stores the body to compute it and ``check``."""
        return len(self.declared) == 64

    def check(self, digest: str) -> None:
        if self.hashed and digest != self.declared:
            raise BodyRefused(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )

    async def read(self, limit: int) -> bytes:
        """The whole body, at most ``limit`` bytes."""
        parts, size = [], 0
        async for data in self:
            size += len(data)
            if size > limit:
                raise BodyRefused("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", status=400)
            parts.append(data)
        body = b"".join(parts)
        if self.hashed:
            self.check(hashlib.sha256(body).hexdigest())
        return body

    async def _raw(self) -> AsyncIterator[Piece]:
        while not self._ended:
            data = await self._next()
            if data:
                yield data

    async def _next(self) -> Piece:
        message = await self.receive()
        if message["type"] != "http.request":
            raise Disconnected
        self._ended = not message.get("more_body", False)
        data: Piece = message.get("body", b"")
        return data

    async def _take(self, most: int) -> memoryview:
        """At most ``most`` of the next bytes, at least one; they are not copied."""
        while self._at == len(self._piece):
            if self._ended:
                raise _broken()
            self._piece, self._at = memoryview(await self._next()), 0
        data = self._piece[self._at : self._at + most]
        self._at += len(data)
        return data

    async def _line(self) -> bytes:
        line = b""
        while (end := line.find(b"\r\n")) < 0:
            if len(line) > _LONGEST_LINE:
                raise _broken()
            line += await self._take(_LONGEST_LINE)
        self._at -= len(line) - end - 2
        return line[:end]

    async def _frames(self) -> AsyncIterator[Piece]:
        while True:
            size, signature = _frame_head(await self._line())
            digest = hashlib.sha256()
            if size:
                async for data in self._frame(size):
                    if self.chain:
                        digest.update(data)
                    yield data
                if await self._line():
                    raise _broken()
            if self.chain:
                self.chain.check(digest.hexdigest(), signature)
            if not size:
                await self._read_trailers()
                return

    async def _frame(self, size: int) -> AsyncIterator[memoryview]:
        while size:
            data = await self._take(size)
            size -= len(data)
            yield data

    async def _read_trailers(self) -> None:
        signed = ""
        while True:
            if self._ended and self._at == len(self._piece):
                break  # some clients leave out the last empty line
            line = (await self._line()).decode("ascii", "replace")
            if not line:
                break
            name, colon, value = line.partition(":")
            if not colon:
                raise _broken()
            name, value = name.strip().lower(), value.strip()
            if name == "x-amz-trailer-signature":
                if self.chain:
                    self.chain.check_trailer(hashlib.sha256(signed.encode()).hexdigest(), value)
                signed = ""
                continue
            signed += f"{name}:{value}\n"
            self.trailers[name] = value
        if signed and self.chain:
            raise BodyRefused("SignatureDoesNotMatch", "The trailer of the body is not signed.")
        while not self._ended:
            await self._next()


def _frame_head(line: bytes) -> tuple[int, str]:
    text, _, extension = line.decode("ascii", "replace").partition(";")
    try:
        size = int(text.strip(), 16)
    except ValueError:
        raise _broken() from None
    if size < 0:
        raise _broken()
    return size, extension.removeprefix("chunk-signature=").strip()


def _broken() -> BodyRefused:
    return BodyRefused("IncompleteBody", "The request body terminated unexpectedly", status=400)


def of(request: Request, receive: Receive, signature: Signature | None, key: bytes) -> Payload:
    """The body of a request whose head has been checked."""
    declared = request.headers.get("x-amz-content-sha256", UNSIGNED)
    framed = declared.startswith("STREAMING-") or "aws-chunked" in request.headers.get("content-encoding", "")
    length = request.headers.get("x-amz-decoded-content-length") if framed else request.headers.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise BodyRefused("InvalidArgument", "The length of the body must be a number", status=400)
    return Payload(
        receive=receive, declared=declared, framed=framed, length=int(length) if length else None,
        chain=Chain(key, signature) if signature and declared.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") else None,
    )  # fmt: skip
