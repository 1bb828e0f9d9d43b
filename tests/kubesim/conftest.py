"""A real cluster in this process, for the tests of kubesim: TLS, a store on disk, a port of the kernel's choice."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from multidict import CIMultiDictProxy

from kubesim.server import Cluster, Settings, running


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """The API server alone: no controllers, no node. `cluster.client()` is the API in process, `cluster.url` over HTTPS."""
    settings = Settings(tmp_path / "state", port=0, controllers=False, node=False)
    async with running(settings) as started:
        yield started
    await connections_gone()


async def connections_gone() -> None:
    """Both ends of every connection are in this loop, and who left first may still hold unsent bytes of TLS: let them notice, then end them.

    A connection that outlives its loop is a ResourceWarning in whatever test the collector runs in next.
    """
    transports = getattr(asyncio.get_running_loop(), "_transports", {})
    for _ in range(250):
        if not list(transports.values()):
            return
        await asyncio.sleep(0.002)
    for transport in list(transports.values()):
        transport.abort()
    await asyncio.sleep(0)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` is decoded JSON, or text where it is none."""

    status: int
    body: Any
    headers: CIMultiDictProxy[str]


class Http:
    """The API over HTTPS, as one user."""

    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        self.url = cluster.url
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), auto_decompress=True)

    async def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        data = io.BytesIO(body) if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        async with self.session.request(method, self.url + path, data=data, headers=sent) as answer:
            raw = await answer.read()
            return Answer(answer.status, decoded(raw), answer.headers)

    async def watch(self, path: str) -> aiohttp.ClientResponse:
        return await self.session.get(self.url + path)


def decoded(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")


def client_context(cluster: Cluster, user: str = "", groups: tuple[str, ...] = ()) -> ssl.SSLContext:
    """TLS as a user with a certificate, or as nobody."""
    context = ssl.create_default_context(cadata=cluster.authority.pem.decode())
    if user:
        pair = cluster.authority.client(user, groups)
        file = cluster.settings.state / "test-client.pem"
        file.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file)
    return context


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[Http]:
    """The administrator over HTTPS."""
    api = Http(cluster, client_context(cluster, "admin", ("system:masters",)))
    yield api
    await api.session.close()


@pytest.fixture
async def nobody(cluster: Cluster) -> AsyncIterator[Http]:
    """Somebody without credentials."""
    api = Http(cluster, client_context(cluster))
    yield api
    await api.session.close()


def config_map(name: str, data: Mapping[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": dict(data or {"a": "1"}),
    }
