"""The service proxy: real connections, ports the kernel chose."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kubesim.node import daemons, wire
from kubesim.node.proxy import Proxy

ADDRESS = "127.11.250.7"


class Backend:
    """Answers its name and the client's address; a connection stays open until the client ends it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.server: asyncio.Server | None = None

    async def start(self) -> tuple[str, int]:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        return host, port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            peer = writer.get_extra_info("peername")[0]
            writer.write(f"{self.name} {peer} {line.decode()}".encode())
        writer.close()


@pytest.fixture
async def backends() -> AsyncIterator[list[tuple[str, int]]]:
    made = [Backend(name) for name in "abc"]
    yield [await one.start() for one in made]
    for one in made:
        assert one.server is not None
        one.server.close()


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as taken:
        return int(taken.getsockname()[1])


def frontend(port: int, backends: list[tuple[str, int]], affinity: int = 0) -> dict[str, Any]:
    return {
        "name": "n/s:x",
        "address": ADDRESS,
        "port": port,
        "backends": backends,
        "affinity": affinity,
        "service": ["n", "s"],
    }


async def ask(port: int, local: str | None = None) -> str:
    reader, writer = await asyncio.open_connection(ADDRESS, port, local_addr=(local, 0) if local else None)
    writer.write(b"hi\n")
    writer.write_eof()
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_connections_are_spread_and_the_dead_are_passed_over(
    tmp_path: Path, backends: list[tuple[str, int]]
) -> None:
    proxy, port = Proxy(tmp_path), free_port()
    dead = ("127.0.0.1", free_port())
    assert await proxy.apply([frontend(port, [*backends, dead])]) == []
    seen = Counter([(await ask(port)).split()[0] for _ in range(60)])
    assert set(seen) == {"a", "b", "c"}
    assert await proxy.apply([]) == []


async def test_affinity_and_the_clients_own_address(tmp_path: Path, backends: list[tuple[str, int]]) -> None:
    proxy, port = Proxy(tmp_path), free_port()
    await proxy.apply([frontend(port, backends, affinity=60)])
    answers = {await ask(port, "127.10.251.9") for _ in range(12)}
    assert len(answers) == 1
    assert answers.pop().split()[1] == "127.10.251.9"
    await proxy.apply([])


async def test_no_endpoints_refuse_and_open_connections_live_on(
    tmp_path: Path, backends: list[tuple[str, int]]
) -> None:
    proxy, port = Proxy(tmp_path), free_port()
    await proxy.apply([frontend(port, backends[:1])])
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    writer.write(b"one\n")
    assert (await reader.readline()).endswith(b"one\n")
    await proxy.apply([frontend(port, [])])
    with pytest.raises(ConnectionRefusedError):
        await ask(port)
    writer.write(b"two\n")
    assert (await reader.readline()).endswith(b"two\n")
    writer.close()
    await writer.wait_closed()


async def test_a_port_that_is_taken_is_reported_and_tried_again(
    tmp_path: Path, backends: list[tuple[str, int]]
) -> None:
    proxy = Proxy(tmp_path)
    with socket.create_server((ADDRESS, 0)) as taken:
        port = taken.getsockname()[1]
        (problem,) = await proxy.apply([frontend(port, backends)])
        assert problem == {"service": ["n", "s"], "address": ADDRESS, "port": port, "message": "Address already in use"}
    assert await proxy.apply([frontend(port, backends)]) == []
    await proxy.apply([])


async def test_a_proxy_that_was_killed_begins_with_what_it_had(tmp_path: Path, backends: list[tuple[str, int]]) -> None:
    folder, port = tmp_path / "proxy", free_port()
    folder.mkdir()
    for attempt in (1, 2):
        pid = daemons.spawn("kubesim.node.proxy", [str(folder)], env=daemons.base_environment(), log=folder / "log")
        connection = await until_connected(folder)
        if attempt == 1:
            assert await connection.ask({"frontends": [frontend(port, backends)]}) == {"problems": []}
        assert (await ask(port)).split()[0] in "abc"
        if attempt == 2:
            await connection.ask({"op": "shutdown"})
        connection.close()
        if attempt == 1:
            os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)


async def until_connected(folder: Path) -> wire.Connection:
    """Once the new process holds the socket: an old one's is refused."""
    for _ in range(500):
        try:
            return await wire.connect(folder, "proxy.sock")
        except OSError:
            await asyncio.sleep(0.02)
    raise AssertionError((folder / "log").read_text())
