"""gRPC probes against a server that speaks HTTP/2 as gRPC does, and against one that does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import pytest

from kubesim.node import grpchealth
from kubesim.node.probes import Prober, Target
from kubesim.node.runtime import Runtime


class Health:
    """Answers Health/Check: a status per service; gRPC's error 5 for services it does not know."""

    def __init__(self, services: dict[str, int]) -> None:
        self.services = services
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        body = b""
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    self.answer(connection, event.stream_id, body)
            writer.write(connection.data_to_send())

    def answer(self, connection: h2.connection.H2Connection, stream: int, body: bytes) -> None:
        self.asked.append(body)
        name = body[7:].decode()
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if name not in self.services:
            connection.send_headers(
                stream, [*head, ("grpc-status", "5"), ("grpc-message", "unknown%20service")], end_stream=True
            )
            return
        connection.send_headers(stream, head)
        status = self.services[name]
        connection.send_data(stream, b"\0\0\0\0\x02\x08" + bytes([status]) if status else b"\0\0\0\0\0")
        connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """A server's port; every conversation has ended with the block."""
    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.get_running_loop().create_task(talk(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()
    await asyncio.gather(*talks)


@pytest.mark.parametrize(
    ("service", "healthy", "message"),
    [
        ("", True, ""),
        ("iris.Predict", True, ""),
        ("iris.Down", False, "service unhealthy (responded with 'NOT_SERVING')"),
        ("iris.Zero", False, "service unhealthy (responded with 'UNKNOWN')"),
        ("none", False, "service unhealthy (rpc error: code = NotFound desc = unknown service) for service 'none'"),
    ],
)
async def test_what_a_server_says(service: str, healthy: bool, message: str) -> None:
    health = Health({"": 1, "iris.Predict": 1, "iris.Down": 2, "iris.Zero": 0})
    async with listening(health.serve) as port:
        assert await grpchealth.check("127.0.0.1", port, service) == (healthy, message)
    assert health.asked == [grpchealth.request(service)]


async def test_a_server_that_is_not_grpc_and_none_at_all() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    prober = Prober(Runtime(None, print))  # type: ignore[arg-type]
    target = Target("c", {}, "127.0.0.1")
    async with listening(web) as port:
        success, message = await prober.probe(target, {"grpc": {"port": port}}, 5)
        assert (success, message.startswith("service unhealthy")) == (False, True), message
    async with listening(silent) as port:
        success, message = await prober.probe(target, {"grpc": {"port": port}}, 0.1)
        assert (success, "context deadline exceeded" in message) == (False, True), message
    success, message = await prober.probe(target, {"grpc": {"port": port}}, 5)
    assert (success, "failed to connect" in message) == (False, True), message
