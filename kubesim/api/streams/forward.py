"""pods/portforward: kubectl's SPDY tunnel through a WebSocket, and the WebSocket protocol of the Python client.

A connection goes to the pod's address, or to its own loopback address where a server listens only there: both are "localhost" of a real
pod. While a container is restarting a connection waits for it for a few seconds, so that a forward outlives its backend.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from kubesim.api.request import Request, Response
from kubesim.api.streams import find, spdy
from kubesim.api.streams.execute import opened
from kubesim.errors import BadRequest
from kubesim.node import network
from kubesim.node.pods import PodWorker
from kubesim.resources import Resource

if TYPE_CHECKING:
    from kubesim.api.app import Server

TUNNEL = "SPDY/3.1+portforward.k8s.io"
CHANNELS = ("v4.channel.k8s.io", "portforward.k8s.io")
_CHUNK = 32 * 1024
_QUEUE = 64
_RESTART_SECONDS = 5.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def handle(server: Server, request: Request, resource: Resource) -> Response:
    pod = find.pod_of(server, request)
    node, worker = find.worker_of(server, pod)
    if (pod.get("status") or {}).get("phase") != "Running":
        raise BadRequest(
            f"unable to forward port because pod is not running. Current status={(pod.get('status') or {}).get('phase', 'Pending')}"
        )
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise BadRequest("Upgrade request required: this cluster streams over WebSocket (kubectl 1.31 or newer)")
    offered = [text.strip() for text in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    dialer = Dialer(worker, node.host.offset)
    if TUNNEL in offered:
        return Response(hijack=lambda raw: _tunnel(raw, dialer))
    ports = [_port(text) for item in request.query.getall("ports", []) for text in item.split(",")]
    if not ports:
        raise BadRequest("query parameter ports is required")
    return Response(hijack=lambda raw: _channels(raw, dialer, ports))


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise BadRequest(f"unable to parse {text[:32]!r} as a port")
    return int(text)


class Dialer:
    """Connects to ports of one pod."""

    def __init__(self, worker: PodWorker, offset: int) -> None:
        self.worker, self.offset = worker, offset

    async def __call__(self, port: int) -> Streams:
        """Raises OSError where nothing listens."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _RESTART_SECONDS
        while True:
            try:
                return await self._once(port)
            except OSError:
                if loop.time() > deadline or not self._restarting():
                    raise
                await asyncio.sleep(0.1)

    def _restarting(self) -> bool:
        mains = [one for one in self.worker.containers if one.role == "main"]
        return (
            any(not (one.running and one.ready) for one in mains) and not self.worker.final[0] and not self.worker.gone
        )

    async def _once(self, port: int) -> Streams:
        address = self.worker.address
        failure: OSError | None = None
        for host in dict.fromkeys((address, network.loopback_of(address))):
            try:
                return await asyncio.open_connection(host, network.real_port(host, port, self.offset))
            except OSError as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def refusal(self, port: int) -> str:
        name = f"{self.worker.namespace}/{self.worker.name}"
        return (
            f"error forwarding port {port} to pod {name}, uid {self.worker.uid}: failed to connect to localhost:{port} inside the pod, "
            f"IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        )


# kubectl's tunnel


async def _tunnel(raw: web.BaseRequest, dialer: Dialer) -> web.StreamResponse:
    socket = await opened(raw, (TUNNEL,))
    session = Tunnel(socket, dialer)
    try:
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                await session.take(message.data)
    except spdy.ProtocolError:
        pass
    finally:
        await session.close()
        await socket.close()
    return socket


class Tunnel:
    """Many connections over one: each is a pair of SPDY streams (error and data) with the same request id."""

    def __init__(self, socket: web.WebSocketResponse, dialer: Dialer) -> None:
        self.socket, self.dialer = socket, dialer
        self.codec = spdy.Codec()
        self.errors: dict[str, int] = {}
        self.queues: dict[int, asyncio.Queue[bytes | None]] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def take(self, received: bytes) -> None:
        for frame in self.codec.feed(received):
            await self._frame(frame)

    async def _frame(self, frame: spdy.Frame) -> None:
        if frame.type == spdy.SYN_STREAM:
            await self._open(frame)
        elif frame.type == 0:
            if queue := self.queues.get(frame.stream):
                if frame.data:
                    await queue.put(frame.data)
                if frame.fin:
                    await queue.put(None)
        elif frame.type == spdy.PING and frame.stream % 2:
            await self._send(spdy.ping(frame.stream))
        elif frame.type == spdy.RST_STREAM and (task := self.tasks.get(frame.stream)):
            task.cancel()

    async def _open(self, frame: spdy.Frame) -> None:
        port, kind, id = frame.header("port"), frame.header("streamtype"), frame.header("requestid")
        if kind not in ("error", "data") or not port.isdigit():
            await self._send(spdy.reset(frame.stream, 1))
            return
        await self._send(self.codec.syn_reply(frame.stream))
        if kind == "error":
            self.errors[id] = frame.stream
            return
        self.queues[frame.stream] = asyncio.Queue(_QUEUE)
        task = asyncio.get_running_loop().create_task(self._carry(frame.stream, int(port), self.errors.pop(id, 0)))
        self.tasks[frame.stream] = task
        task.add_done_callback(lambda _: self._forget(frame.stream))

    def _forget(self, stream: int) -> None:
        self.tasks.pop(stream, None)
        self.queues.pop(stream, None)

    async def _carry(self, stream: int, port: int, errors: int) -> None:
        """One connection, to its end; its error stream says what went wrong, or nothing."""
        trouble = b""
        try:
            reader, writer = await self.dialer(port)
        except OSError:
            trouble = self.dialer.refusal(port).encode()
        else:
            await self._copy(stream, reader, writer)
        with contextlib.suppress(ConnectionError):
            await self._send(spdy.data(stream, b"", fin=True))
            if errors:
                await self._send(spdy.data(errors, trouble, fin=True))

    async def _copy(self, stream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sending = asyncio.get_running_loop().create_task(_drain(self.queues[stream], writer))
        try:
            async for data in _chunks(reader):
                await self._send(spdy.data(stream, data))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()

    async def _send(self, data: bytes) -> None:
        await self.socket.send_bytes(data)

    async def close(self) -> None:
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(queue: asyncio.Queue[bytes | None], writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while (data := await queue.get()) is not None:
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            yield data


# The Python client's channels


async def _channels(raw: web.BaseRequest, dialer: Dialer, ports: list[int]) -> web.StreamResponse:
    """Channel 2n carries the n-th port's data, 2n+1 its errors; each begins with the port's number, little-endian."""
    socket = await opened(raw, CHANNELS)
    queues: list[asyncio.Queue[bytes | None]] = [asyncio.Queue(_QUEUE) for _ in ports]
    for channel, port in ((channel, ports[channel // 2]) for channel in range(2 * len(ports))):
        await socket.send_bytes(bytes([channel]) + struct.pack("<H", port))
    loop = asyncio.get_running_loop()
    carrying = [
        loop.create_task(_carry_channel(socket, dialer, number, port, queues[number]))
        for number, port in enumerate(ports)
    ]
    receiving = loop.create_task(_receive(socket, queues))
    try:
        together = asyncio.ensure_future(asyncio.wait(carrying))
        await asyncio.wait([together, receiving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*carrying, receiving):
            task.cancel()
        await asyncio.gather(*carrying, receiving, return_exceptions=True)
        await socket.close()
    return socket


async def _receive(socket: web.WebSocketResponse, queues: list[asyncio.Queue[bytes | None]]) -> None:
    async for message in socket:
        if message.type == WSMsgType.BINARY and message.data:
            number, odd = divmod(message.data[0], 2)
            if not odd and number < len(queues) and len(message.data) > 1:
                await queues[number].put(message.data[1:])


async def _carry_channel(
    socket: web.WebSocketResponse, dialer: Dialer, number: int, port: int, queue: asyncio.Queue[bytes | None]
) -> None:
    try:
        reader, writer = await dialer(port)
    except OSError:
        await socket.send_bytes(bytes([2 * number + 1]) + dialer.refusal(port).encode())
        return
    sending = asyncio.get_running_loop().create_task(_drain(queue, writer))
    try:
        async for data in _chunks(reader):
            await socket.send_bytes(bytes([2 * number]) + data)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
