"""``GET /_awssim/health``: answered without credentials, and says nothing a stranger could use."""

from awssim.asgi import App, Receive, Scope, Send, reply_json
from awssim.stand import Stand

PATH = "/_awssim/health"


class Health:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await self._inner(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await reply_json(send, 405, {"message": "method not allowed"}, allow="GET")
        else:
            await reply_json(send, 200, self._stand.health())
