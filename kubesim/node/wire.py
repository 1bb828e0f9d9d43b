"""Talking to a shim: JSON lines over its unix socket, one answer a request."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SOCKET = "shim.sock"
_LINE = 64 * 1024 * 1024


class RuntimeFailure(Exception):
    """The runtime could not do what it was asked; the message is what a pod's status shows."""


class Connection:
    """Requests to one shim, answered in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.lock = asyncio.Lock()

    async def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises RuntimeFailure where the shim refuses, ConnectionError where it is gone."""
        async with self.lock:
            self.writer.write(json.dumps(body).encode() + b"\n")
            await self.writer.drain()
            answer = await self.read()
        if "error" in answer:
            raise RuntimeFailure(answer["error"])
        return answer

    async def read(self) -> dict[str, Any]:
        line = await self.reader.readline()
        if not line:
            raise ConnectionResetError("the shim has ended")
        return dict(json.loads(line))

    def close(self) -> None:
        self.writer.close()


def unix_socket(folder: Path, name: str) -> socket.socket:
    """A connected socket; the path may be longer than a unix address allows."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    handle = -1
    try:
        handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        connection.connect(f"/proc/self/fd/{handle}/{name}")
    except OSError:
        connection.close()
        raise
    finally:
        if handle >= 0:
            os.close(handle)
    connection.setblocking(False)
    return connection


async def connect(folder: Path, name: str = SOCKET) -> Connection:
    reader, writer = await asyncio.open_unix_connection(sock=unix_socket(folder, name), limit=_LINE)
    return Connection(reader, writer)


async def connect_twice(folder: Path) -> tuple[Connection, Connection]:
    """One connection to ask, one to listen."""
    first = await connect(folder)
    try:
        return first, await connect(folder)
    except BaseException:
        first.close()
        raise


async def send(folder: Path, body: Mapping[str, Any], handles: Sequence[int]) -> Connection:
    """A connection that asks with file descriptors, which are closed here. Raises OSError where no shim listens."""
    try:
        sock = unix_socket(folder, SOCKET)
        socket.send_fds(sock, [json.dumps(body).encode() + b"\n"], list(handles))
    finally:
        for handle in handles:
            os.close(handle)
    return Connection(*await asyncio.open_unix_connection(sock=sock))


class Process:
    """What an exec started. Closing it leaves the process alone; `kill` ends it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def begin(self) -> None:
        try:
            answer = await self.connection.read()
        except ConnectionError as error:
            raise RuntimeFailure("container is not running") from error
        if message := answer.get("failed") or answer.get("error"):
            self.connection.close()
            raise RuntimeFailure(message)

    async def wait(self) -> int:
        """Its exit code; 137 where the shim died with it."""
        try:
            while True:
                answer = await self.connection.read()
                if "exit" in answer:
                    return int(answer["exit"])
        except ConnectionError:
            return 137

    def kill(self) -> None:
        self.connection.writer.write(b'{"op": "kill"}\n')

    def close(self) -> None:
        self.connection.close()
