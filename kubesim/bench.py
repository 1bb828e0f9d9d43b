"""How fast an API server answers: the rows that a real kube-apiserver was measured by, against any cluster a kubeconfig names.

    python -m kubesim.bench --kubeconfig FILE [--seconds 3] [--objects 2500] [--watchers 50]

The client is as thin as it can be (one process, raw HTTP/1.1 over TLS), since it shares the machine with the server. Everything is done in a
namespace of its own, which is removed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

NAMESPACE = "kubesim-bench"


@dataclass(frozen=True)
class Target:
    """Where the API is, and how to prove who asks."""

    host: str
    port: int
    context: ssl.SSLContext
    token: str = ""


def target(kubeconfig: Path) -> Target:
    config = yaml.safe_load(kubeconfig.read_text())
    chosen = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == chosen["cluster"])
    user = next(each["user"] for each in config["users"] if each["name"] == chosen["user"])
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
    url = urlsplit(cluster["server"])
    return Target(url.hostname or "127.0.0.1", url.port or 443, context, user.get("token", ""))


class Client:
    """One connection. Not for two requests at a time."""

    def __init__(self, where: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        authorization = f"Authorization: Bearer {where.token}\r\n" if where.token else ""
        self._head = f"Host: {where.host}\r\nUser-Agent: bench\r\nAccept: application/json\r\n{authorization}"

    @classmethod
    async def connect(cls, where: Target) -> Client:
        reader, writer = await asyncio.open_connection(
            where.host, where.port, ssl=where.context, limit=64 * 1024 * 1024
        )
        return cls(where, reader, writer)

    async def send(self, method: str, path: str, body: Any = None) -> int:
        """Sends a request and reads the head of its answer; returns the length of the body, -1 where it is chunked."""
        data = b"" if body is None else orjson.dumps(body)
        typed = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{typed}\r\n".encode() + data)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        if not head.startswith(("http/1.1 20", "http/1.1 409")):
            raise RuntimeError(f"{method} {path}: {head.splitlines()[0]}")
        return next((int(line[15:]) for line in head.splitlines() if line.startswith("content-length:")), -1)

    async def ask(self, method: str, path: str, body: Any = None) -> bytes:
        length = await self.send(method, path, body)
        if length >= 0:
            return await self._reader.readexactly(length)
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readline()
        return b"".join(parts)

    async def line(self) -> bytes:
        """The next chunk of a watch."""
        size = int(await self._reader.readline(), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    def close(self) -> None:
        self._writer.close()


def config_map(name: str) -> dict[str, Any]:
    data = {f"key-{n}": "x" * 40 for n in range(5)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"bench": "yes"}},
        "data": data,
    }


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    value: str


async def rate(
    clients: int, where: Target, seconds: float, one: Callable[[Client, int], Awaitable[object]]
) -> tuple[float, float]:
    """Requests per second, and the median of their times in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def run(number: int) -> None:
        client = await Client.connect(where)
        count = 0
        while (start := time.perf_counter()) < end:
            await one(client, number * 1_000_000 + count)
            times.append(time.perf_counter() - start)
            count += 1
        client.close()

    begin = time.perf_counter()
    await asyncio.gather(*map(run, range(clients)))
    return len(times) / (time.perf_counter() - begin), statistics.median(times) * 1000


async def _make(base: str, prefix: str, client: Client, number: int) -> object:
    return await client.ask("POST", base, config_map(f"{prefix}-{number}"))


async def rows(where: Target, *, seconds: float, objects: int, watchers: int) -> list[Row]:
    admin = await Client.connect(where)
    base = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    await admin.ask(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    found = []
    try:
        for clients in (1, 8):
            per_second, median = await rate(clients, where, seconds, partial(_make, base, f"c{clients}"))
            found.append(
                Row(
                    f"creates/s, {clients} client{'s' if clients > 1 else ''}",
                    f"{per_second:.0f} (p50 {median:.2f} ms)",
                )
            )
        await admin.ask("DELETE", base)
        for n in range(objects):
            await admin.ask("POST", base, config_map(f"o-{n}"))
        for clients in (1, 8):
            per_second, median = await rate(
                clients, where, seconds, lambda c, n: c.ask("GET", f"{base}/o-{n % objects}")
            )
            found.append(
                Row(f"gets/s, {clients} client{'s' if clients > 1 else ''}", f"{per_second:.0f} (p50 {median:.2f} ms)")
            )
        found.append(Row(f"list of {objects} ConfigMaps", f"{await listed(admin, base):.1f} ms (p50)"))
        found.append(
            Row(
                f"write to the last of {watchers} watchers",
                f"{await fanned(where, admin, base, watchers):.1f} ms (p50)",
            )
        )
    finally:
        await admin.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
        admin.close()
    return found


async def listed(client: Client, path: str) -> float:
    times = []
    for _ in range(10):
        start = time.perf_counter()
        await client.ask("GET", path)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


async def fanned(where: Target, admin: Client, path: str, watchers: int) -> float:
    """From the moment a write is sent to the moment the last watcher has it."""
    clients = [await Client.connect(where) for _ in range(watchers)]
    for client in clients:
        await client.send(
            "GET", f"{path}?watch=1&resourceVersion={_version(await admin.ask('GET', path + '?limit=1'))}"
        )
    times = []
    for n in range(20):
        arrived = [asyncio.ensure_future(client.line()) for client in clients]
        start = time.perf_counter()
        await admin.ask("POST", path, config_map(f"w-{n}"))
        await asyncio.gather(*arrived)
        times.append(time.perf_counter() - start)
    for client in clients:
        client.close()
    return statistics.median(times) * 1000


def _version(body: bytes) -> str:
    return str(orjson.loads(body)["metadata"]["resourceVersion"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--objects", type=int, default=2500)
    parser.add_argument("--watchers", type=int, default=50)
    arguments = parser.parse_args()
    measure = rows(
        target(arguments.kubeconfig), seconds=arguments.seconds, objects=arguments.objects, watchers=arguments.watchers
    )
    for row in asyncio.run(measure):
        print(f"{row.name:<36} {row.value}")


if __name__ == "__main__":
    main()
