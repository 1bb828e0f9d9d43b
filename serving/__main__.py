"""`python -m serving`: serve until SIGTERM, and then as long as it takes to end without a failed request.

After SIGTERM the service goes on listening for `drain` seconds: /ready says 503 and every answer closes its connection; then listeners are
closed and the last requests waited for. A second SIGTERM cuts the first part short.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from serving.app import create
from serving.service import Service, log
from serving.settings import BadSettings, Settings


class Server(uvicorn.Server):
    """uvicorn, but for how it ends."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.loop is None or self.service.draining:
            super().handle_exit(sig, frame)
            return
        self.service.draining = True
        seconds = self.service.settings.drain
        log("draining", seconds=seconds)
        self.loop.call_soon_threadsafe(self.loop.call_later, seconds, super().handle_exit, sig, frame)


def main() -> int:
    """Its exit code."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout, force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        settings = Settings.read(os.environ)
    except BadSettings as error:
        print(f"serving: {error}", file=sys.stderr)
        return 2
    service = Service(settings)
    config = uvicorn.Config(
        create(service),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=15,
    )
    _calm_collector()
    # uvicorn raises the signal again once it has ended in order: that is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(config, service).run()
    return 0


def _calm_collector() -> None:
    """Garbage is looked for seldom, and not among what was imported.

    What has been imported stays for good: walking it again and again costs time, and writes to pages shared with other processes of a node. Requests
    make no cycles, but a batch makes 50,000 objects, which the default thresholds would search seventy times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


if __name__ == "__main__":
    sys.exit(main())
