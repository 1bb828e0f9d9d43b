"""pods/proxy and services/proxy: an HTTP reverse proxy to a pod, or to a ready endpoint of a Service.

`NAME`, `NAME:PORT` and `https:NAME:PORT` name the target, PORT being a number or a port's name. Bodies are streamed as they are, encodings
included; hop-by-hop headers and the caller's credentials stay behind; a redirect to the target's own root comes back under the proxy's path.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from kubesim.api.request import Request, Response
from kubesim.api.streams.find import ServiceUnavailable
from kubesim.errors import BadRequest, NotFound
from kubesim.node import network
from kubesim.node.kubelet import Node
from kubesim.resources import Object, Resource

if TYPE_CHECKING:
    from kubesim.api.app import Server

_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_OURS = _HOP | {"authorization", "host", "content-length", "x-forwarded-uri"}
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Backend:
    """Where a request goes."""

    scheme: str
    host: str
    port: int


def split(name: str) -> tuple[str, str, str]:
    """(scheme, name, port) of a proxy target. Raises BadRequest."""
    parts = name.split(":")
    if len(parts) == 1:
        return "http", parts[0], ""
    if len(parts) == 2:
        return "http", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0] or "http", parts[1], parts[2]
    raise BadRequest(f'invalid service request "{name}"')


async def pods(server: Server, request: Request, resource: Resource) -> Response:
    scheme, name, port = split(request.info.name)
    pod = server.reader.get("v1/pods", request.info.namespace, name)
    if pod is None:
        raise NotFound(f'pods "{name}" not found', details={"name": name, "kind": "pods"})
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise BadRequest(f"address not allowed: pod {name} has no address yet")
    number = _pod_port(pod, port)
    return _answer(server, request, Backend(scheme, address, number))


def _pod_port(pod: Object, port: str) -> int:
    declared = [item for container in pod["spec"]["containers"] for item in container.get("ports") or []]
    if not port:
        return int(declared[0]["containerPort"]) if declared else 80
    if port.isdigit() and 0 < int(port) < 65536:
        return int(port)
    found = next((item["containerPort"] for item in declared if item.get("name") == port), None)
    if found is None:
        raise BadRequest(f'invalid pod request "{pod["metadata"]["name"]}:{port}": no such port')
    return int(found)


async def services(server: Server, request: Request, resource: Resource) -> Response:
    scheme, name, port = split(request.info.name)
    namespace = request.info.namespace
    service = server.reader.get("v1/services", namespace, name)
    if service is None:
        raise NotFound(f'services "{name}" not found', details={"name": name, "kind": "services"})
    chosen = _service_port(service, port)
    if chosen is None:
        raise ServiceUnavailable(f'no service port "{port}" found for service "{name}"')
    slices = [
        piece
        for piece in server.reader.list("discovery.k8s.io/v1/endpointslices", namespace)
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
    ]
    ready = list(network.ready_endpoints(slices, chosen.get("name") or ""))
    if not ready:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    address, number = random.choice(ready)
    return _answer(server, request, Backend(scheme, address, number))


def _service_port(service: Object, port: str) -> Object | None:
    ports = service["spec"].get("ports") or []
    if not port:
        return ports[0] if len(ports) == 1 else None
    return next((item for item in ports if item.get("name") == port or str(item["port"]) == port), None)


def _answer(server: Server, request: Request, backend: Backend) -> Response:
    before, _, rest = request.path.partition("/proxy")
    if not rest and request.method in ("GET", "HEAD"):
        return Response(status=301, headers={"Location": f"{request.path}/"})
    node: Node | None = server.node
    offset = node.host.offset if node is not None else 0
    backend = Backend(backend.scheme, backend.host, network.real_port(backend.host, backend.port, offset))
    prefix = f"{before}/proxy"
    return Response(hijack=lambda raw: _carry(raw, request, backend, prefix, rest or "/"))


async def _carry(
    raw: web.BaseRequest, request: Request, backend: Backend, prefix: str, rest: str
) -> web.StreamResponse:
    query = raw.raw_path.partition("?")[2]
    url = URL(f"{backend.scheme}://{backend.host}:{backend.port}{rest}" + (f"?{query}" if query else ""), encoded=True)
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS)
    async with aiohttp.ClientSession(
        auto_decompress=False, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        try:
            answer = await session.request(
                request.method,
                url,
                headers=_forwarded(raw, prefix),
                data=request.body or None,
                allow_redirects=False,
                ssl=_context(backend),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _unreachable(error, backend)
        async with answer:
            return await _stream(raw, answer, backend, prefix)


def _context(backend: Backend) -> ssl.SSLContext | bool:
    """Certificates of pods are not checked, as the API server has it."""
    if backend.scheme != "https":
        return True
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _forwarded(raw: web.BaseRequest, prefix: str) -> CIMultiDict[str]:
    headers = CIMultiDict((name, value) for name, value in raw.headers.items() if name.lower() not in _OURS)
    headers.setdefault("Accept-Encoding", "identity")
    headers["X-Forwarded-Uri"] = prefix
    headers["X-Forwarded-Host"] = raw.host
    headers["X-Forwarded-Proto"] = "https"
    return headers


def _unreachable(error: Exception, backend: Backend) -> web.Response:
    reason = "i/o timeout" if isinstance(error, TimeoutError) else "connection refused"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        reason = "EOF"
    failure = ServiceUnavailable(
        f"error trying to reach service: dial tcp {backend.host}:{backend.port}: connect: {reason}"
    )
    return web.json_response(failure.status(), status=503)


async def _stream(
    raw: web.BaseRequest, answer: aiohttp.ClientResponse, backend: Backend, prefix: str
) -> web.StreamResponse:
    headers = CIMultiDict((name, value) for name, value in answer.headers.items() if name.lower() not in _HOP)
    if "Location" in headers:
        headers["Location"] = _location(headers["Location"], backend, prefix)
    out = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    if "Content-Length" not in headers and answer.status not in (204, 304):
        out.enable_chunked_encoding()
    await out.prepare(raw)
    try:
        async for data in answer.content.iter_any():
            await out.write(data)
        await out.write_eof()
    except (ConnectionError, aiohttp.ClientError, asyncio.CancelledError):
        out.force_close()
        raise
    return out


def _location(location: str, backend: Backend, prefix: str) -> str:
    parts = urlsplit(location)
    if parts.netloc not in ("", f"{backend.host}:{backend.port}") or not parts.path.startswith("/"):
        return location
    return prefix + parts.path + (f"?{parts.query}" if parts.query else "")
