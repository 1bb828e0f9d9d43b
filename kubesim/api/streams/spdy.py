"""SPDY/3.1 framing, as far as kubectl's port-forward tunnels it through a WebSocket: pure, bytes in and frames out.

Streams, data, resets, pings and going away; header blocks are compressed with the dictionary of the SPDY/3 draft (section 2.6.10.1), one
zlib stream per direction for the life of a connection. Go's spdystream, which is at the other end, uses no flow control, so window updates
and settings are read and ignored.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
CANCEL = 5
_MAX_HEADERS = 64 * 1024

_WORDS = (
    "options;head;post;put;delete;trace;accept;accept-charset;accept-encoding;accept-language;accept-ranges;age;allow;"
    "authorization;cache-control;connection;content-base;content-encoding;content-language;content-length;content-location;"
    "content-md5;content-range;content-type;date;etag;expect;expires;from;host;if-match;if-modified-since;if-none-match;if-range;"
    "if-unmodified-since;last-modified;location;max-forwards;pragma;proxy-authenticate;proxy-authorization;range;referer;"
    "retry-after;server;te;trailer;transfer-encoding;upgrade;user-agent;vary;via;warning;www-authenticate;method;get;status;"
    "200 OK;version;HTTP/1.1;url;public;set-cookie;keep-alive;origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information"
    "204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
    "501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, "
    "Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split(";")) + _TEXT.encode()


class ProtocolError(Exception):
    """The peer does not speak SPDY/3.1."""


@dataclass(frozen=True)
class Frame:
    """`type` 0 is data. `stream` is a stream's id, or a ping's; `headers` those of SYN_STREAM and SYN_REPLY."""

    type: int
    stream: int
    flags: int = 0
    data: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def fin(self) -> bool:
        return bool(self.flags & FIN)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class Codec:
    """One connection's framing in both directions."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(
            zlib.Z_BEST_SPEED, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
        )

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now."""
        self._received += data
        while len(self._received) >= 8:
            first, rest = struct.unpack_from(">II", self._received)
            flags, length = rest >> 24, rest & 0xFFFFFF
            if len(self._received) < 8 + length:
                return
            body = bytes(self._received[8 : 8 + length])
            del self._received[: 8 + length]
            yield self._frame(first, flags, body)

    def _frame(self, first: int, flags: int, body: bytes) -> Frame:
        if not first >> 31:
            return Frame(0, first, flags, body)
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != 3:
            raise ProtocolError(f"SPDY version {version}")
        try:
            return self._control(kind, flags, body)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ProtocolError(str(error)) from error

    def _control(self, kind: int, flags: int, body: bytes) -> Frame:
        if kind == SETTINGS:
            return Frame(kind, 0, flags)
        number = struct.unpack_from(">I", body)[0]
        if kind != PING:
            number &= 0x7FFFFFFF
        if kind == SYN_STREAM:
            return Frame(kind, number, flags, headers=self._headers(body[10:]))
        if kind in (SYN_REPLY, HEADERS):
            return Frame(kind, number, flags, headers=self._headers(body[4:]))
        return Frame(kind, number, flags, body[4:])

    def _headers(self, block: bytes) -> tuple[tuple[str, str], ...]:
        plain = self._inflate.decompress(block, _MAX_HEADERS)
        if self._inflate.unconsumed_tail:
            raise ProtocolError("headers are too large")
        count, at, found = struct.unpack_from(">I", plain)[0], 4, []
        for _ in range(count):
            name, at = _text(plain, at)
            value, at = _text(plain, at)
            found.append((name.lower(), value))
        return tuple(found)

    # What is sent

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        return _control(SYN_STREAM, FIN if fin else 0, struct.pack(">IIH", stream, 0, 0) + self._block(headers))

    def syn_reply(self, stream: int, headers: Mapping[str, str] | None = None) -> bytes:
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + self._block(headers or {}))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            plain += struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(value)) + value.encode()
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _text(plain: bytes, at: int) -> tuple[str, int]:
    length = struct.unpack_from(">I", plain, at)[0]
    end = at + 4 + length
    if end > len(plain):
        raise ProtocolError("a header is cut")
    return plain[at + 4 : end].decode(), end


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body


def data(stream: int, body: bytes, *, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(body)) + body


def reset(stream: int, status: int = CANCEL) -> bytes:
    return _control(RST_STREAM, 0, struct.pack(">II", stream, status))


def ping(number: int) -> bytes:
    return _control(PING, 0, struct.pack(">I", number))
