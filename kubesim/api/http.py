"""HTTPS: aiohttp's requests to ours and back. Nothing here knows what Kubernetes is."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from functools import lru_cache
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import MultiDict, MultiDictProxy, MultiMapping

from kubesim import paths
from kubesim.api import render
from kubesim.api.app import Server
from kubesim.api.decode import MAX_BODY
from kubesim.api.request import Feed, Request, Response
from kubesim.errors import ApiError, BadRequest, TooLarge

GZIP_FROM = 128 * 1024
"""Answers shorter than this are not worth compressing: Kubernetes's own threshold."""

BODY_SECONDS = 30.0
"""A client that sends slower than this is let go."""


def tls(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """Client certificates are welcome and not demanded: bearer tokens come without."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(certificate, key)
    return context


NO_QUERY: MultiMapping[str] = MultiDictProxy(MultiDict())


class Front:
    """An aiohttp server in front of a `Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.2
        )
        self.port = 0

    async def start(self, address: str, port: int, context: ssl.SSLContext | None) -> int:
        """Listens and returns the port, which is chosen by the kernel where `port` is 0."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port, ssl_context=context, backlog=512)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        return self.port

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        try:
            request = await self._read(raw)
        except ApiError as error:
            return Whole(render.failure(error), raw)
        response = await self._server.handle(request)
        if response.hijack is not None:
            return await response.hijack(raw)  # type: ignore[arg-type]
        if response.feed is not None:
            return await _fed(response, response.feed, raw)
        if isinstance(response.body, bytes):
            return Whole(response, raw)
        return await _stream(response, response.body, raw)

    async def _read(self, raw: web.BaseRequest) -> Request:
        transport = raw.transport
        connection = None if transport is None else transport.get_extra_info("ssl_object")
        path, asked, _ = raw.raw_path.partition("?")
        query: MultiMapping[str] = raw.query if asked else NO_QUERY
        return Request(
            method=raw.method,
            path=path,
            info=paths.parse(raw.method, path, query),
            query=query,
            headers=raw.headers,
            body=await _body(raw) if raw.body_exists and not _upgrades(raw) else b"",
            certificate=connection.getpeercert(binary_form=True) if connection is not None else None,
            transport=raw,  # type: ignore[arg-type]
        )


def _upgrades(raw: web.BaseRequest) -> bool:
    return "upgrade" in raw.headers.get("Connection", "").lower()


async def _body(raw: web.BaseRequest) -> bytes:
    """The body, up to the bound; what is longer is not read into memory."""
    if (raw.content_length or 0) > MAX_BODY:
        raise TooLarge(f"Request entity too large: limit is {MAX_BODY}")
    if raw.content.is_eof():  # it came with the headers, as a small body does
        return raw.content.read_nowait()
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in raw.content.iter_any():
                size += len(part)
                if size > MAX_BODY:
                    raise TooLarge(f"Request entity too large: limit is {MAX_BODY}")
                parts.append(part)
    except TimeoutError:
        raise BadRequest(f"the body of the request did not arrive within {BODY_SECONDS:.0f} seconds") from None
    return b"".join(parts)


class Whole(web.StreamResponse):
    """An answer that is there as a whole: its head and body go to the connection in one piece.

    aiohttp's own `Response` takes such an answer through what streams, cookies and ranges need: a fifth of the time of a small answer, from the
    client and back (107 to 87 µs, without TLS). What is left is HTTP/1.1: a length, a date, and whether the connection is kept.
    """

    def __init__(self, response: Response, raw: web.BaseRequest) -> None:
        super().__init__(status=response.status)
        assert isinstance(response.body, bytes)
        headers = {"Content-Type": response.content_type, "Cache-Control": "no-cache, private", **response.headers}
        self._answer = response.body
        if len(self._answer) >= GZIP_FROM and "gzip" in raw.headers.get("Accept-Encoding", ""):
            self._answer = gzip.compress(self._answer, 1)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        self._fields = headers
        self._kept = raw.keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._kept

    async def prepare(self, request: web.BaseRequest) -> None:
        """Sends it, and waits where the client does not read: its next request must not add to what it leaves lying.

        Raises ConnectionResetError where the client has gone.
        """
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        body = b"" if request.method == "HEAD" else self._answer
        if len(body) < GZIP_FROM:
            transport.write(self._head() + body)
        else:
            transport.writelines((self._head(), body))  # a list of megabytes is not copied once more
        await request.writer.drain()

    def _head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {self.reason}", f"Content-Length: {len(self._answer)}", f"Date: {_date()}"]
        lines += [f"{name}: {_line(value)}" for name, value in self._fields.items()]
        lines.append("Connection: keep-alive" if self._kept else "Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""


def _line(value: str) -> str:
    """A header's value, which may quote what a client sent, cannot begin another header."""
    return value if value.isprintable() else "".join(char if char.isprintable() else " " for char in value)


def _date() -> str:
    return _dated(int(time.time()))


@lru_cache(maxsize=1)
def _dated(second: int) -> str:
    return formatdate(second, usegmt=True)


async def _stream(response: Response, body: AsyncIterator[bytes], raw: web.BaseRequest) -> web.StreamResponse:
    """Chunk by chunk, waiting for the client to take each: a slow one slows only itself."""
    out, _ = await _begin(response, raw)
    try:
        async for part in body:
            await out.write(part)
        await out.write_eof()
    except (ConnectionError, asyncio.CancelledError):
        out.force_close()
        raise
    return out


async def _fed(response: Response, feed: Feed, raw: web.BaseRequest) -> web.StreamResponse:
    """What `feed` sends, until it returns."""
    out, writer = await _begin(response, raw)
    try:
        await out.write(b"")  # sends the headers: a client waits for them before it trusts a watch
        await feed(Wire(raw, writer))
        await out.write_eof()
    except (ConnectionError, asyncio.CancelledError):
        out.force_close()
        raise
    return out


async def _begin(response: Response, raw: web.BaseRequest) -> tuple[web.StreamResponse, AbstractStreamWriter]:
    out = web.StreamResponse(
        status=response.status,
        headers={"Content-Type": response.content_type, "Cache-Control": "no-cache, private", **response.headers},
    )
    out.enable_chunked_encoding()
    writer = await out.prepare(raw)
    assert writer is not None
    return out, writer


class Wire:
    """The `Sink` of a connection: chunks go to the transport directly, for aiohttp's own write would have to be awaited."""

    def __init__(self, raw: web.BaseRequest, writer: AbstractStreamWriter) -> None:
        self._raw, self._writer = raw, writer

    @property
    def behind(self) -> bool:
        return self._raw.protocol.writing_paused

    def send(self, data: bytes) -> None:
        transport = self._raw.transport
        if data and transport is not None and not transport.is_closing():
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def drain(self) -> None:
        await self._writer.drain()
