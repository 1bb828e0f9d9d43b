"""The two probes of every program here: /healthz while the loop turns, /readyz once the program does its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

from aiohttp import web


def application(ready: Callable[[], bool]) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(text="not ready\n", status=503)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app


@asynccontextmanager
async def serving(
    app: web.Application, address: str, port: int, ssl_context: SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve while inside; `port` 0 is any free one, the one taken is given. At the end requests get two seconds to finish, then all is cut:
    an idle TLS connection would otherwise wait for its peer to say goodbye."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, ssl_context=ssl_context).start()
        yield int(runner.addresses[0][1])
    finally:
        open_transports = [one.transport for one in runner.server.connections if one.transport] if runner.server else []
        await runner.cleanup()
        for transport in open_transports:
            transport.abort()
        await asyncio.sleep(0)
