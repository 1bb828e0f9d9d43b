"""S3 bodies: read whole and verified before ministack sees them, with the framing's headers gone and the trailer's put in."""

from awssim import payload
from awssim.asgi import App, Receive, Request, Scope, Send, body_of
from awssim.errors import Refused
from awssim.refusals import refuse
from awssim.stand import Stand

_FRAMING = (b"x-amz-decoded-content-length", b"x-amz-trailer", b"transfer-encoding", b"content-length", b"expect")


class Bodies:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: payload.Payload | None = scope.get("awssim.payload")
        if body is None:
            await self._inner(scope, receive, send)
            return
        request: Request = scope["awssim.request"]
        try:
            data = await body.read(8 << 30)
        except Refused as refusal:
            await refuse(send, request, "s3", refusal)
        except payload.Disconnected:
            return
        else:
            await self._inner({**scope, "headers": decoded_headers(scope, body, len(data))}, body_of(data), send)


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
