"""What stands between a training and its services when they are to fail: a proxy that can answer 503."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: 75\r\n\r\n"
    b"<Error><Code>ServiceUnavailable</Code><Message>of a test</Message></Error>\n"
)


class Proxy:
    """TCP to 127.0.0.1:`behind`; for a while, or for ever, every connection that sends a request is answered 503.

    The while begins with the first such connection, so that a slow start does not miss it.
    """

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.refuse_seconds = 0.0
        self.began: float | None = None
        self.refused = 0
        self.listener = socket.create_server(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def refuse_for(self, seconds: float) -> None:
        self.refuse_seconds, self.began = seconds, None

    def _refuses(self) -> bool:
        if self.began is None:
            self.began = time.monotonic()
        return time.monotonic() < self.began + self.refuse_seconds

    def serve(self) -> None:
        """Until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with client:
            if self._refuses():
                self.refused += 1
                _read_request(client)
                client.sendall(_REFUSAL)
                return
            with socket.create_connection(("127.0.0.1", self.behind)) as server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


def _read_request(client: socket.socket) -> None:
    """The head and what follows it at once; an answer to an unread request would be lost with the connection."""
    client.settimeout(0.5)
    try:
        while client.recv(65536):
            client.settimeout(0.1)
    except OSError:
        pass


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def proxy(behind: int) -> Iterator[Proxy]:
    """A running proxy."""
    made = Proxy(behind)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.listener.shutdown(socket.SHUT_RDWR)
        made.listener.close()
        thread.join()
