"""Running the program: one process, one loop, loopback unless told otherwise; SIGTERM saves and stops within a second."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from awssim import lock
from awssim.errors import StandinError, StateUnusable
from awssim.files import private_directory
from awssim.settings import Settings
from awssim.wire import Wire
from awssim.workers import Workers

if TYPE_CHECKING:
    from awssim.stand import Stand

log = logging.getLogger("awssim")
_WORTH_INDEXING = 500
_COLLECTIONS = (5_000, 20, 50)


class _Server(uvicorn.Server):
    """uvicorn, with the stand-in's upkeep beside it.

    A signal ends in a clean return: uvicorn raises it again, and the process would die of it unsaved.
    """

    def __init__(self, config: uvicorn.Config, stand: "Stand") -> None:
        super().__init__(config)
        self._stand = stand

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Workers(loop))
        await super().startup(sockets)
        self._upkeep = [loop.create_task(_upkeep(self._stand)), loop.create_task(_index(self._stand))]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._upkeep:
            task.cancel()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


async def _upkeep(stand: "Stand") -> None:
    """Lifecycle rules of images and objects, and the sweep, now and every hour."""
    while True:
        try:
            await stand.registry.maintain()
            await stand.expire_objects()
        except OSError as error:
            log.error("upkeep failed, it is tried again in an hour: %s", error)
        await asyncio.sleep(3600)


async def _index(stand: "Stand") -> None:
    """Keep the index of sidecars near to what is on disk: a start reads what it does not have."""
    unindexed = stand.sidecars.read
    while True:
        if unindexed >= _WORTH_INDEXING:
            try:
                await asyncio.to_thread(stand.sidecars.refresh)
            except (OSError, sqlite3.Error) as error:
                log.warning("the index of objects could not be written, the next start is slower: %s", error)
            stand.journal.writes = 0
        await asyncio.sleep(60)
        unindexed = stand.journal.writes


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("awssim").setLevel(logging.INFO)
    try:
        private_directory(settings.state)
        lock.hold(settings.state)
    except OSError as error:
        raise StateUnusable(f"{settings.state}: {error.strerror}; choose another --state") from error
    listeners = _listeners(settings)
    from awssim.application import application
    from awssim.stand import Stand

    settings = replace(settings, port=listeners[0].getsockname()[1])
    stand = Stand(settings)
    _spare_collector()
    config = uvicorn.Config(
        application(stand), lifespan="off", proxy_headers=False, log_level="warning", access_log=False, server_header=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=1, ws="none", http=cast(Any, Wire),
        ssl_certfile=settings.tls_certificate, ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
    )  # fmt: skip
    scheme = "https" if settings.tls_certificate else "http"
    print(f"awssim listens on {scheme}://{settings.addresses[0]}:{settings.port}", flush=True)
    try:
        _Server(config, stand).run(sockets=listeners)
    finally:
        _save(stand)


def _spare_collector() -> None:
    """What is loaded stays: to look at a hundred thousand objects for garbage would hold the loop for a fifth of a second."""
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


def _save(stand: "Stand") -> None:
    try:
        stand.save_all()
    except OSError as error:
        raise StateUnusable(
            f"{stand.settings.state}: {error.strerror}; what was acknowledged is on disk, the last refused write is not"
        ) from error


def _listeners(settings: Settings) -> list[socket.socket]:
    """One for every address, all on the port that the first one got."""
    first = _listen(settings.addresses[0], settings.port)
    port = int(first.getsockname()[1])
    return [first, *(_listen(address, port) for address in settings.addresses[1:])]


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StandinError(f"cannot listen on {address}:{port}: {reason}; choose another --port") from error
    listener.listen(128)
    return listener
