"""Carries a question to a webhook over HTTPS, and says in Kubernetes's words why it did not arrive."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson

from kubesim.admission.webhooks.hook import Hook
from kubesim.auth.attributes import quote
from kubesim.auth.reader import Reader
from kubesim.resources import Object

LONGEST = 8 << 20
"""Bytes of an answer that are read at most."""
SERVICES = "v1/services"
SLICES = "discovery.k8s.io/v1/endpointslices"


class CallFailed(Exception):
    """The webhook was not reached, or answered with an error."""


@dataclass(frozen=True, slots=True)
class _Target:
    """`shown` is the URL as messages name it, `url` where to connect, `server` whom the certificate must be for."""

    shown: str
    url: str
    server: str


class Caller:
    """Posts AdmissionReviews; keeps connections open between them."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def post(self, hook: Hook, body: Object, reader: Reader) -> bytes:
        """The answer's body. Raises CallFailed."""
        target = _target(hook, reader)
        said = f"failed to call webhook: Post {quote(target.shown)}: "
        try:
            async with asyncio.timeout(hook.timeout):
                return await self._exchange(target, hook.client.get("caBundle") or "", body)
        except TimeoutError as error:
            raise CallFailed(said + "context deadline exceeded") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallFailed(f"{said}tls: failed to verify certificate: x509: {error.certificate_error}") from error
        except aiohttp.ClientConnectorError as error:
            # asyncio puts a sentence of its own where the system's word should be
            reason = os.strerror(error.os_error.errno).lower() if error.os_error.errno else str(error.os_error)
            raise CallFailed(f"{said}dial tcp {error.host}:{error.port}: connect: {reason}") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise CallFailed(f"{said}{error or type(error).__name__}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _exchange(self, target: _Target, bundle: str, body: Object) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        async with self._session.post(
            target.url,
            data=orjson.dumps(body),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Host": urlsplit(target.shown).netloc,
            },
            ssl=_context(bundle),
            server_hostname=target.server,
            allow_redirects=False,
        ) as response:
            raw = await response.content.read(LONGEST + 1)
            while len(raw) <= LONGEST and (more := await response.content.read(LONGEST)):
                raw += more
            if len(raw) > LONGEST:
                raise CallFailed("failed to call webhook: the answer is too long")
            if not 200 <= response.status < 300:
                raise CallFailed(f"failed to call webhook: {_http_failure(response.status, raw)}")
            return raw


@lru_cache(maxsize=64)
def _context(bundle: str) -> ssl.SSLContext:
    """Trusts the configuration's CA bundle (base64 of PEM), or, without one, what the system trusts. Raises ValueError."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from error


def _http_failure(status: int, raw: bytes) -> str:
    if status == 404:
        return "the server could not find the requested resource"
    text = raw[:256].decode(errors="replace").strip()
    return f"an error on the server ({quote(text or 'unknown')}) has prevented the request from succeeding"


def _target(hook: Hook, reader: Reader) -> _Target:
    query = f"timeout={hook.timeout}s"
    url = hook.client.get("url")
    if url:
        parts = urlsplit(str(url))
        full = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
        if parts.scheme != "https" or not parts.hostname:
            raise CallFailed(f"failed to call webhook: {quote(str(url))} is no https URL")
        return _Target(full, full, parts.hostname)
    service: Mapping[str, Any] = hook.client.get("service") or {}
    name, namespace, port = (
        str(service.get("name", "")),
        str(service.get("namespace", "")),
        int(service.get("port") or 443),
    )
    path = "/" + str(service.get("path") or "/").lstrip("/")
    server = f"{name}.{namespace}.svc"
    shown = f"https://{server}:{port}{path}?{query}"
    try:
        host, number = endpoint(reader, namespace, name, port)
    except LookupError as error:
        raise CallFailed(f"failed to call webhook: Post {quote(shown)}: {error.args[0]}") from error
    return _Target(shown, f"https://{host}:{number}{path}?{query}", server)


def endpoint(reader: Reader, namespace: str, name: str, port: int) -> tuple[str, int]:
    """A ready address behind a Service's port. Raises LookupError with what is missing."""
    service = reader.get(SERVICES, namespace, name)
    if service is None:
        raise LookupError(f"service {quote(name)} not found")
    ports = (service.get("spec") or {}).get("ports") or ()
    found = next((one for one in ports if one.get("port") == port), None)
    if found is None:
        raise LookupError(f"service {quote(name)} has no port {port}")
    ready = list(_ready(reader, namespace, name, str(found.get("name") or "")))
    if ready:
        return random.choice(ready)
    raise LookupError(f"no endpoints available for service {quote(name)}")


def _ready(reader: Reader, namespace: str, name: str, port_name: str) -> list[tuple[str, int]]:
    return [
        (str(address), int(port["port"]))
        for one in reader.list(SLICES, namespace)
        if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
        for port in one.get("ports") or ()
        if str(port.get("name") or "") == port_name and port.get("port")
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    ]
