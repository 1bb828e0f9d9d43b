"""pods/exec and pods/attach over WebSocket: Kubernetes's channel protocols v4 and v5.

Each binary message begins with a channel: 0 stdin, 1 stdout, 2 stderr, 3 the final Status as JSON, 4 terminal size as JSON; in v5, 255
followed by a channel closes it, which is how `kubectl exec -i < file` ends its input. Plain SPDY upgrades are refused, so that clients fall
back; kubectl has preferred WebSocket since 1.31.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import termios
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from kubesim.api.request import Request, Response
from kubesim.api.streams import files, find
from kubesim.api.streams.find import Target
from kubesim.errors import BadRequest, InternalError
from kubesim.node.wire import Process, RuntimeFailure
from kubesim.resources import Object, Resource

if TYPE_CHECKING:
    from kubesim.api.app import Server

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_DRAIN_SECONDS = 1.0
MAX_MESSAGE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """Which streams the client asked for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


async def run(server: Server, request: Request, resource: Resource) -> Response:
    command = request.query.getall("command", [])
    if not command:
        raise BadRequest("you must specify at least one command for the container")
    wanted = _wanted(request, stdout=False)
    target = find.target(server, request)
    id = target.id
    _upgrades(request)
    return Response(hijack=lambda raw: _exec(raw, target, id, command, wanted))


async def attach(server: Server, request: Request, resource: Resource) -> Response:
    wanted = _wanted(request, stdout=True)
    target = find.target(server, request)
    if wanted.tty and not target.container.spec.get("tty"):
        raise BadRequest(f"Unable to use a TTY - container {target.container.name} did not allocate one")
    id = target.id
    _upgrades(request)
    return Response(hijack=lambda raw: _attach(raw, target, id, wanted))


def _wanted(request: Request, *, stdout: bool) -> Wanted:
    flags = {name: find.flag(request, name) for name in ("stdin", "stdout", "stderr", "tty")}
    wanted = Wanted(**flags)
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        if not stdout:
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
        wanted = Wanted(stdin=False, stdout=True, stderr=True, tty=False)
    if wanted.tty and wanted.stderr:
        wanted = Wanted(wanted.stdin, wanted.stdout, False, True)
    return wanted


def _upgrades(request: Request) -> None:
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise BadRequest(
            "Upgrade request required: this cluster streams over WebSocket (kubectl 1.31 or newer, or KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true)"
        )


async def opened(raw: web.BaseRequest, protocols: tuple[str, ...]) -> web.WebSocketResponse:
    """The upgraded connection."""
    socket = web.WebSocketResponse(protocols=protocols, heartbeat=None, max_msg_size=MAX_MESSAGE, compress=False)
    await socket.prepare(raw)
    return socket


async def _exec(
    raw: web.BaseRequest, target: Target, id: str, command: list[str], wanted: Wanted
) -> web.StreamResponse:
    socket = await opened(raw, PROTOCOLS)
    ends = Ends.terminal() if wanted.tty else Ends.pipes(stdin=wanted.stdin)
    session = Session(socket, wanted, ends, resize=ends.resize)
    try:
        process = await target.node.runtime.exec(id, command, handles=ends.theirs, tty=wanted.tty)
    except RuntimeFailure as error:
        ends.close()
        await session.finish(InternalError(_could_not(str(error))).status())
        return socket
    try:
        await session.carry(process.wait())
    finally:
        if not session.done:
            process.kill()
        process.close()
    return socket


def _could_not(reason: str) -> str:
    return (
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start exec: "
        f"OCI runtime exec failed: exec failed: unable to start container process: {reason}"
    )


async def _attach(raw: web.BaseRequest, target: Target, id: str, wanted: Wanted) -> web.StreamResponse:
    socket = await opened(raw, PROTOCOLS)
    ends = Ends.attached(stdin=wanted.stdin and bool(target.container.spec.get("stdin")))

    async def resize(rows: int, columns: int) -> None:
        await target.node.runtime.resize(id, rows=rows, columns=columns)

    session = Session(socket, wanted, ends, resize=resize)
    try:
        process: Process = await target.node.runtime.attach(id, handles=ends.theirs)
    except RuntimeFailure as error:
        ends.close()
        await session.finish(InternalError(f"Internal error occurred: {error}").status())
        return socket
    try:
        await session.carry(None)
    finally:
        process.close()
    return socket


@dataclass
class Ends:
    """The two ends of a process's standard streams: `theirs` go to the shim, the others stay here."""

    theirs: list[int]
    outputs: dict[int, int]
    input: int = -1
    tty: int = -1
    closed: set[int] = field(default_factory=set)

    @staticmethod
    def terminal() -> Ends:
        master, slave = pty.openpty()
        return Ends([slave], {STDOUT: master}, input=master, tty=master)

    @staticmethod
    def pipes(*, stdin: bool) -> Ends:
        source, input = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), -1)
        out, theirs_out = os.pipe()
        err, theirs_err = os.pipe()
        return Ends([source, theirs_out, theirs_err], {STDOUT: out, STDERR: err}, input=input)

    @staticmethod
    def attached(*, stdin: bool) -> Ends:
        """For attach the shim writes the outputs, and reads the input."""
        out, theirs_out = os.pipe()
        err, theirs_err = os.pipe()
        source, input = os.pipe() if stdin else (-1, -1)
        return Ends([theirs_out, theirs_err, *([source] if stdin else [])], {STDOUT: out, STDERR: err}, input=input)

    async def resize(self, rows: int, columns: int) -> None:
        if self.tty >= 0 and self.tty not in self.closed:
            fcntl.ioctl(self.tty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close_input(self) -> None:
        """End of input: a pipe is closed, a terminal is sent Ctrl-D."""
        if self.tty >= 0 and self.tty not in self.closed:
            with contextlib.suppress(OSError):
                os.write(self.tty, b"\x04")
        elif self.input >= 0 and self.input not in self.closed:
            self.closed.add(self.input)
            os.close(self.input)

    def close(self) -> None:
        for handle in {*self.outputs.values(), self.input, self.tty} - self.closed - {-1}:
            self.closed.add(handle)
            os.close(handle)


class Session:
    """One client's streams, carried until the process ends or the client goes."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        wanted: Wanted,
        ends: Ends,
        *,
        resize: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self.socket, self.wanted, self.ends, self.resize = socket, wanted, ends, resize
        self.done = False

    async def carry(self, exit: Awaitable[int] | None) -> None:
        """`exit` is the process's exit code; None for attach, which lasts as long as there is output."""
        outputs = [asyncio.create_task(self._send(channel, handle)) for channel, handle in self.ends.outputs.items()]
        incoming = asyncio.create_task(self._receive())
        ending = asyncio.ensure_future(exit if exit is not None else _all(outputs))
        try:
            await asyncio.wait({ending, incoming}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                return
            await asyncio.wait(outputs, timeout=_DRAIN_SECONDS)
            self.done = True
            await self.finish(_status(await ending))
        finally:
            for task in (*outputs, incoming, ending):
                task.cancel()
            await asyncio.gather(*outputs, incoming, ending, return_exceptions=True)
            self.ends.close()

    async def finish(self, status: Object) -> None:
        with contextlib.suppress(ConnectionError):
            await self.socket.send_bytes(bytes([ERROR]) + json.dumps(status).encode())
            await self.socket.close()

    async def _send(self, channel: int, handle: int) -> None:
        shown = (channel == STDOUT and self.wanted.stdout) or (channel == STDERR and self.wanted.stderr)
        async for data in files.chunks(handle):
            if shown:
                with contextlib.suppress(ConnectionError):
                    await self.socket.send_bytes(bytes([channel]) + data)

    async def _receive(self) -> None:
        """Until the client closes the connection."""
        async for message in self.socket:
            if message.type == WSMsgType.BINARY and message.data:
                await self._take(message.data[0], message.data[1:])
            elif message.type == WSMsgType.TEXT and message.data:
                await self._take(ord(message.data[0]) % 48, message.data[1:].encode())

    async def _take(self, channel: int, data: bytes) -> None:
        if channel == STDIN and self.ends.input >= 0 and self.ends.input not in self.ends.closed:
            try:
                await files.write(self.ends.input, data)
            except OSError:
                self.ends.close_input()
        elif channel == RESIZE:
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError, struct.error):
                size = json.loads(data)
                await self.resize(int(size["Height"]), int(size["Width"]))
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            self.ends.close_input()


async def _all(tasks: Sequence[asyncio.Task[None]]) -> int:
    await asyncio.wait(tasks)
    return 0


def _status(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
