"""A client as thin as it can be, for it shares the machine with the server: raw HTTP/1.1 over TLS, one connection, one request at a time."""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml


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
