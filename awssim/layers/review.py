"""``POST /_awssim/eks/token-review``: the webhook of an API server, which has no AWS credentials; the token under review is the credential."""

from awssim import documents
from awssim.asgi import App, Receive, Scope, Send, read_body, reply_json
from awssim.eks.review import review
from awssim.stand import Stand

PATH = "/_awssim/eks/token-review"
_LONGEST = 64 * 1024


class TokenReview:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._stand = stand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await self._inner(scope, receive, send)
            return
        if scope["method"] != "POST":
            await reply_json(send, 405, {"message": "POST a TokenReview"}, allow="POST")
            return
        body = await read_body(receive, _LONGEST)
        try:
            question = documents.read(body or b"")
        except ValueError:
            question = None
        if not isinstance(question, dict):
            await reply_json(send, 400, {"message": "the body is not a TokenReview"})
            return
        await reply_json(send, 200, review(question, self._stand))
