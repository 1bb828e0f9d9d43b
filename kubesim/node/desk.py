"""The shim's loop and its callers: a selector, a unix socket, lines of JSON in and out, file descriptors along with them. Nothing in it waits."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAX_REQUEST = 8 * 1024 * 1024

Body = dict[str, Any]


class Loop:
    """Calls handlers when their file descriptor is ready."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def on(self, source: Any, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `source` can be read."""
        self._selector.register(source, selectors.EVENT_READ, handler)

    def off(self, source: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source)

    def write_too(self, source: Any, handler: Callable[[], None], *, wanted: bool) -> None:
        """Call `handler` also when `source` can be written, or (not `wanted`) no longer."""
        self._selector.modify(source, selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0), handler)

    def turn(self, seconds: float) -> None:
        """Wait until something is ready, and handle it, unless what was handled before it has taken it off, closed it or given its number away."""
        for key, _ in self._selector.select(seconds):
            current = self._selector.get_map().get(key.fd)
            if current is not None and current.fileobj is key.fileobj:
                self._handle(current.data)

    @staticmethod
    def _handle(handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:  # noqa: BLE001  all containers die with the shim: an error that nobody foresaw is told in its log, and it goes on
            traceback.print_exc()


class Peer:
    """One connection: requests in, answers out. `handles` are the file descriptors that came and were not taken yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.unsent = b""
        self.handles: list[int] = []
        self.watching = False
        self.process = 0

    def take_handles(self) -> list[int]:
        handles, self.handles = self.handles, []
        return handles


class Desk:
    """Listens on FOLDER/shim.sock and hands each request to `serve(peer, body)`; what it raises of OSError and LookupError is the answer."""

    def __init__(self, folder: Path, loop: Loop, serve: Callable[[Peer, Body], None]) -> None:
        self.loop, self.serve = loop, serve
        self.peers: set[Peer] = set()
        listener = listening(folder, "shim.sock")
        listener.setblocking(False)
        loop.on(listener, lambda: self._accept(listener))

    def answer(self, peer: Peer, body: Body) -> None:
        """Send, as soon as the peer takes it; nothing happens where it has hung up."""
        if peer in self.peers:
            peer.unsent += json.dumps(body).encode() + b"\n"
            self._flush(peer)

    def tell(self, body: Body) -> None:
        """Answer everyone who watches."""
        for peer in [peer for peer in self.peers if peer.watching]:
            self.answer(peer, body)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        peer = Peer(connection)
        self.peers.add(peer)
        self.loop.on(connection, lambda: self._receive(peer))

    def _receive(self, peer: Peer) -> None:
        try:
            data, handles, _, _ = socket.recv_fds(peer.socket, 1 << 16, 8)
        except BlockingIOError:
            return
        except OSError:
            data, handles = b"", []
        for handle in handles:
            os.set_inheritable(handle, False)
        peer.handles += handles
        peer.received += data
        if not data or len(peer.received) > _MAX_REQUEST:
            self._hang_up(peer)
            return
        *lines, peer.received = peer.received.split(b"\n")
        for line in lines:
            self._request(peer, line)

    def _request(self, peer: Peer, line: bytes) -> None:
        try:
            body = json.loads(line)
        except ValueError as error:
            self.answer(peer, {"error": f"bad request: {error}"})
            return
        try:
            self.serve(peer, body)
        except (OSError, LookupError, TypeError) as error:
            self.answer(peer, {"error": str(error)})

    def _hang_up(self, peer: Peer) -> None:
        self.loop.off(peer.socket)
        peer.socket.close()
        self.peers.discard(peer)
        for handle in peer.take_handles():
            os.close(handle)

    def _flush(self, peer: Peer) -> None:
        try:
            while peer.unsent:
                peer.unsent = peer.unsent[peer.socket.send(peer.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up(peer)
            return
        self.loop.write_too(peer.socket, lambda: self._serve(peer), wanted=bool(peer.unsent))

    def _serve(self, peer: Peer) -> None:
        if peer.unsent:
            self._flush(peer)
        if peer in self.peers:
            self._receive(peer)


def listening(folder: Path, name: str) -> socket.socket:
    """A unix socket in `folder`, only for this user; the path may be longer than a unix address allows."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (folder / name).unlink(missing_ok=True)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    listener.bind(f"/proc/self/fd/{handle}/{name}")
    os.close(handle)
    (folder / name).chmod(0o600)
    listener.listen(64)
    return listener
