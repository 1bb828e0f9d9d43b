"""ministack's administrative pages are closed: they need no credentials, and one of them deletes everything.

Its health pages stay open under the names LocalStack's clients ask for.
"""

from awssim.asgi import App, Receive, Scope, Send, reply_json
from awssim.stand import Stand

_OPEN = ("/_localstack/health", "/_ministack/health")


class Closed:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "/" + scope["path"].lstrip("/")
        if path in _OPEN and scope["method"] in ("GET", "HEAD"):
            await reply_json(
                send, 200, {"services": dict.fromkeys(self._stand.services, "running"), "edition": "awssim"}
            )
        elif path.startswith("/_"):
            await reply_json(send, 403, {"message": "This page is closed."})
        else:
            await self._inner(scope, receive, send)
