"""An answer to a write goes out only after the write is on disk: kill -9 loses nothing that was acknowledged."""

import logging

from awssim.asgi import App, Message, Receive, Request, Scope, Send
from awssim.errors import Refused
from awssim.refusals import refuse
from awssim.saving import Saving
from awssim.stand import Stand

log = logging.getLogger("awssim.durable")
_WRITES_BY_GET = ("iam", "sts")
_READS_BY_POST = ("Describe", "List")


class Durable:
    def __init__(self, inner: App, stand: Stand) -> None:
        self._inner = inner
        self._saving = Saving(stand.save)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _reads(scope):
            await self._inner(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._inner(scope, receive, hold)
        try:
            if not _of_an_object(scope):
                await self._saving.saved(scope["awssim.service"])
        except OSError as error:
            log.error("could not save the state of %s: %s", scope["awssim.service"], error)
            request: Request = scope["awssim.request"]
            refusal = Refused("ServiceUnavailable", f"The state could not be saved: {error.strerror}", status=503)
            await refuse(send, request, scope["awssim.service"], refusal)
            return
        for message in held:
            await send(message)


def _reads(scope: Scope) -> bool:
    """Whether the call changes nothing, so that what the service holds need not be compared with what is on disk: of a class that takes a while."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return scope["awssim.service"] not in _WRITES_BY_GET
    request: Request = scope["awssim.request"]
    operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
    return scope["awssim.service"] == "ecr" and operation.startswith(_READS_BY_POST)


def _of_an_object(scope: Scope) -> bool:
    """An S3 call on a key changes files only, and they are written already."""
    request: Request = scope["awssim.request"]
    return scope["awssim.service"] == "s3" and bool(request.key)
