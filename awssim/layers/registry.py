"""``/v2`` and the addresses of layers, before signatures: registry clients bring tokens instead."""

from awssim.asgi import App, Receive, Request, Scope, Send, reply_json
from awssim.registry import layers
from awssim.registry.protocol import Protocol
from awssim.stand import Stand


class Images:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._registry = stand.registry
        self._protocol = Protocol(inner, stand.registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(layers.PATH):
            await self._protocol(scope, receive, send)
            return
        request = Request.of(scope)
        digest = request.path.removeprefix(layers.PATH)
        file = self._registry.store.path(digest)
        if not layers.genuine(self._registry, digest, request.parameter("expires"), request.parameter("signature")):
            await reply_json(send, 403, {"message": "This address is not valid, or not any more."})
        elif not file.is_file():
            await reply_json(send, 404, {"message": "The layer is gone."})
        else:
            size = file.stat().st_size
            headers = {"content-type": "application/octet-stream", "content-length": str(size)}
            await self._protocol.stream(send, digest, 0, size, 200, headers)
