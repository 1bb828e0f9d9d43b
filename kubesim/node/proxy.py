"""The service proxy: `python -m kubesim.node.proxy FOLDER`. Connections to a Service's addresses go to one of its ready endpoints.

A process of its own, so that connections live on when the API server ends. The node sends the whole wanted state as one line of JSON
on FOLDER/proxy.sock; it is kept in FOLDER/config.json, which a proxy that was killed starts from. A Service without endpoints refuses
connections, as kube-proxy has it: nothing listens. A port that is taken is reported in the answer, not fatal, and tried again.

A backend is picked at random (sessionAffinity ClientIP: the same one while it is ready); one that refuses is passed over for another,
which kube-proxy would not do. Connections to pods are made from the client's own address where that is a pod's. A change of endpoints
leaves open connections alone. TCP only. Backends that NetworkPolicies (`Rules`) close to the client are passed over too; where none is left the
client's connection is reset.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from kubesim.node.rules import Rules

Place = tuple[str, int]

_IP_BIND_ADDRESS_NO_PORT = 24
_CONNECT_SECONDS = 5.0
_HIGH_WATER = 256 * 1024


class Pipe(asyncio.Protocol):
    """One side of a proxied connection; what it reads it writes to its peer, no faster than the peer takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: Pipe | None = None
        self.early: list[bytes] = []
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass of it
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self.early.append(data)
        else:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.peer is not None:
            self.peer.finish()
        return True

    def finish(self) -> None:
        """The other side will send no more."""
        if self.transport is not None and not self.transport.is_closing():
            with contextlib.suppress(OSError, NotImplementedError):
                self.transport.write_eof()
            if self.ended:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def join(self, peer: Pipe) -> None:
        """Tie two open connections together."""
        self.peer, peer.peer = peer, self
        for source, target in ((self, peer), (peer, self)):
            assert target.transport is not None
            for data in source.early:
                target.transport.write(data)
            source.early = []
            if source.ended:
                target.finish()
            if source.transport is None or source.transport.is_closing():
                target.transport.close()


class Front(Pipe):
    """The client's side: finds a backend once it is connected."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.listener = listener
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.task = asyncio.get_running_loop().create_task(self.listener.connect(self))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.peer is None and self.transport is not None and sum(map(len, self.early)) > _HIGH_WATER:
            self.transport.pause_reading()


class Listener:
    """One frontend that is open."""

    def __init__(self, proxy: Proxy, address: str, port: int) -> None:
        self.proxy, self.address, self.port = proxy, address, port
        self.backends: tuple[Place, ...] = ()
        self.affinity = 0
        self.sticky: dict[str, tuple[Place, float]] = {}
        self.server: asyncio.Server | None = None

    async def open(self) -> None:
        """Raises OSError where the port is taken."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.address, self.port))
            sock.setblocking(False)
            self.server = await asyncio.get_running_loop().create_server(lambda: Front(self), sock=sock, backlog=1024)
        except OSError:
            sock.close()
            raise

    def close(self) -> None:
        if self.server is not None:
            self.server.close()

    def candidates(self, client: str, now: float) -> list[Place]:
        """Backends that the client may reach, in the order to try them."""
        open_ones = [place for place in self.backends if self.proxy.rules.allow(client, *place)]
        order = random.sample(open_ones, len(open_ones))
        if self.affinity:
            place, seen = self.sticky.get(client, (None, 0.0))
            if place in self.backends and now - seen < self.affinity:
                order.sort(key=lambda one: one != place)
        return order

    async def connect(self, front: Front) -> None:
        loop = asyncio.get_running_loop()
        assert front.transport is not None
        client = front.transport.get_extra_info("peername")[0]
        for place in self.candidates(client, loop.time()):
            try:
                sock = await _connected(place, client)
            except (OSError, TimeoutError):
                continue
            if self.affinity:
                self.sticky[client] = (place, loop.time())
            _, back = await loop.create_connection(Pipe, sock=sock)
            front.join(back)
            if not front.transport.is_closing():
                front.transport.resume_reading()
            return
        front.transport.abort()


async def _connected(place: Place, client: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if client.startswith("127.10."):
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((client, 0))
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


class Proxy:
    """All frontends. `apply` makes them so and answers with the ports that could not be had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listeners: dict[Place, Listener] = {}
        self.rules = Rules()
        self.stopped = asyncio.Event()
        self.lock = asyncio.Lock()

    async def apply(self, wanted: Sequence[dict[str, Any]], rules: Rules | None = None) -> list[dict[str, Any]]:
        async with self.lock:
            self.rules = rules or Rules()
            by_place = {
                (str(item["address"]), int(item["port"])): item for item in reversed(wanted) if item["backends"]
            }
            for place in self.listeners.keys() - by_place.keys():
                self.listeners.pop(place).close()
            return [problem for place, item in by_place.items() if (problem := await self._open(place, item))]

    async def _open(self, place: Place, item: dict[str, Any]) -> dict[str, Any] | None:
        listener = self.listeners.get(place)
        if listener is None:
            listener = Listener(self, *place)
            try:
                await listener.open()
            except OSError as error:
                return {
                    "service": item["service"],
                    "address": place[0],
                    "port": place[1],
                    "message": os.strerror(error.errno or 0),
                }
            self.listeners[place] = listener
        listener.backends = tuple((str(address), int(port)) for address, port in item["backends"])
        listener.affinity = int(item["affinity"])
        return None

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The node's connection: a line of wanted state in, a line of problems out."""
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                body = json.loads(line)
                if body.get("op") == "shutdown":
                    self.stopped.set()
                    answer: dict[str, Any] = {}
                else:
                    answer = {"problems": await self.apply(body["frontends"], Rules.from_json(body.get("rules", {})))}
                    self._keep(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _keep(self, line: bytes) -> None:
        temporary = self.folder / ".config.json"
        with contextlib.suppress(OSError):
            temporary.write_bytes(line)
            temporary.replace(self.folder / "config.json")

    async def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            body = json.loads((self.folder / "config.json").read_text())
            await self.apply(body["frontends"], Rules.from_json(body.get("rules", {})))
        server = await asyncio.start_unix_server(self.converse, sock=_listen(self.folder), limit=64 * 1024 * 1024)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopped.set)
        while not self.stopped.is_set() and (self.folder / "proxy.sock").exists():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopped.wait(), 5)
        server.close()


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (folder / "proxy.sock").unlink(missing_ok=True)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    listener.bind(f"/proc/self/fd/{handle}/proxy.sock")
    os.close(handle)
    (folder / "proxy.sock").chmod(0o600)
    return listener


def main() -> None:
    parser = argparse.ArgumentParser(prog="kubesim.node.proxy")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder.resolve()
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(0)
    os.chdir("/")
    import uvloop

    async def run() -> None:
        await Proxy(folder).run()

    uvloop.run(run())
    (folder / "proxy.sock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
