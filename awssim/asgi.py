"""The words of ASGI, and a request as our layers read it: parsed once, passed down in the scope."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Query = dict[str, list[str]]


@dataclass(frozen=True)
class Request:
    """A request's head. Header names are lower case; a repeated header is one value joined by commas."""

    method: str
    path: str
    raw_path: str
    query: Query
    headers: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, scope: Scope) -> "Request":
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        query = parse_qs(scope.get("query_string", b"").decode("utf-8", "replace"), keep_blank_values=True)
        return cls(scope["method"], scope["path"], raw.decode("latin-1"), query, _headers(scope))

    def parameter(self, name: str) -> str:
        """The first value of a query parameter, or nothing."""
        return self.query.get(name, [""])[0]

    @property
    def has_body(self) -> bool:
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers

    @property
    def bucket(self) -> str:
        """The bucket an S3 request names in its path."""
        return self.path.lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """The object key an S3 request names in its path."""
        return unquote(self.raw_path.lstrip("/").partition("/")[2])


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope.get("headers", []):
        key, text = name.decode("latin-1").lower(), _text(value)
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def reply(send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    """Send a whole answer."""
    lines = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in headers.items()]
    if not any(name.lower() == b"content-length" for name, _ in lines):
        lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


def closing(request: Request) -> dict[str, str]:
    """The header of an answer given before the request's body was read: what follows on the connection may be that body."""
    return {"connection": "close"} if request.has_body else {}


async def reply_json(send: Send, status: int, value: object, **headers: str) -> None:
    body = json.dumps(value).encode()
    await reply(send, status, {"content-type": "application/json", **headers}, body)


def body_of(data: bytes) -> Receive:
    """A ``receive`` that hands over a body read before."""
    waiting = [data]

    async def receive() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    return receive


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None where it is longer than ``limit`` bytes or the client has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
