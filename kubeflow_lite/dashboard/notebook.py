"""Hands a tenant's requests through to the tenant's Notebook, WebSockets too.

Jupyter is told who is at the door by a token of this program's own service account, made for that one Notebook (its audience) and good for
ten minutes; images/notebook checks it with the cluster's public keys. Nothing is stored, and a hostile Notebook gains nothing by it: the
token opens that Notebook and no other. The visitor's session cookie is never passed on.

Only the tenant may enter, the instructor not: a Notebook's own script runs in this origin, with the rights of whoever opened it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict

from kubeflow_lite.kube.client import Client
from kubeflow_lite.web import guard, pages

log = logging.getLogger(__name__)

HEADER = "X-Notebook-Visitor"
SECONDS = 600
_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_HANDSHAKE = {"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol"}
_LARGEST = 512 * 2**20


class Passes:
    """Tokens for Notebooks, made by the API server and used until a minute before they end."""

    def __init__(self, client: Client, *, namespace: str, account: str) -> None:
        self._client = client
        self._namespace = namespace
        self._account = account
        self._known: dict[str, tuple[str, float]] = {}

    async def of(self, namespace: str, name: str) -> str:
        audience = f"notebook:{namespace}/{name}"
        token, until = self._known.get(audience, ("", 0.0))
        if until < time.monotonic():
            token = await self._client.token(self._account, self._namespace, audiences=[audience], seconds=SECONDS)
            self._known[audience] = (token, time.monotonic() + SECONDS - 60)
        return token


class Door:
    """Use as `async with Door(passes) as door`; `door.through(request, namespace, name)` answers."""

    def __init__(self, passes: Passes, address: str = "http://{name}.{namespace}.svc.cluster.local") -> None:
        self._passes = passes
        self._address = address

    async def __aenter__(self) -> Door:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        self._session = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def through(self, request: web.Request, namespace: str, name: str) -> web.StreamResponse:
        url = self._address.format(namespace=namespace, name=name) + request.raw_path
        headers = onward(request.headers)
        headers[HEADER] = await self._passes.of(namespace, name)
        try:
            if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
                return await self._websocket(request, url, headers)
            return await self._plain(request, url, headers)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            log.info("notebook %s/%s: %s", namespace, name, error)
            raise web.HTTPBadGateway(text="the Notebook does not answer (yet); try again in a moment\n") from error

    async def _plain(self, request: web.Request, url: str, headers: CIMultiDict[str]) -> web.StreamResponse:
        body = request.content if request.can_read_body else None
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for key, value in answer.headers.items():
                if key.lower() not in _HOP and not _takes_our_cookie(key, value):
                    response.headers.add(key, value)
            response[pages.AS_IT_IS] = True
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _websocket(self, request: web.Request, url: str, headers: CIMultiDict[str]) -> web.StreamResponse:
        protocols = [
            one.strip() for one in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",") if one.strip()
        ]
        for key in _HANDSHAKE:
            headers.popall(key, None)
        async with self._session.ws_connect(
            url, headers=headers, protocols=protocols, max_msg_size=_LARGEST, autoping=False
        ) as inner:
            chosen = [inner.protocol] if inner.protocol else []
            outer = web.WebSocketResponse(protocols=chosen, max_msg_size=_LARGEST, autoping=False)
            await outer.prepare(request)
            await _both_ways(outer, inner)
            return outer


def onward(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The visitor's headers without those of the hop, our cookie, and anything that pretends to be our pass."""
    kept = CIMultiDict(
        (key, value)
        for key, value in headers.items()
        if key.lower() not in _HOP and key.lower() not in ("cookie", HEADER.lower(), "content-length")
    )
    pairs = (pair.strip() for pair in headers.get("Cookie", "").split(";"))
    cookies = "; ".join(pair for pair in pairs if pair and pair.partition("=")[0] != guard.COOKIE)
    if cookies:
        kept["Cookie"] = cookies
    if length := headers.get("Content-Length"):
        kept["Content-Length"] = length
    return kept


def _takes_our_cookie(key: str, value: str) -> bool:
    return key.lower() == "set-cookie" and value.partition("=")[0].strip() == guard.COOKIE


async def _both_ways(outer: web.WebSocketResponse, inner: aiohttp.ClientWebSocketResponse) -> None:
    """Until either side ends; then the other is ended as well."""
    ways = [asyncio.create_task(_pump(outer, inner)), asyncio.create_task(_pump(inner, outer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await inner.close()
        await outer.close()


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.PING:
            await target.ping(message.data)
        elif message.type is aiohttp.WSMsgType.PONG:
            await target.pong(message.data)
