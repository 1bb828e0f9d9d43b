"""The webhook's certificate: a TLS client that trusts its authority accepts it for its names, and only for them."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from kubeflow_lite import health
from kubeflow_lite.poddefaults import certificate, registration
from kubeflow_lite.poddefaults.program import Served

NAMES = registration.server_names("kubeflow")
NOW = datetime.now(UTC)


async def handshake(port: int, authority: str, name: str) -> None:
    context = ssl.create_default_context(cadata=authority)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_trusts_the_authority_accepts_it() -> None:
    made = certificate.make(NAMES, at=NOW)
    async with health.serving(web.Application(), "127.0.0.1", 0, Served(made).context) as port:
        for name in NAMES:
            await handshake(port, made.authority, name)
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await handshake(port, made.authority, "kubernetes.default.svc")
        with pytest.raises(ssl.SSLCertVerificationError):
            await handshake(port, certificate.make(NAMES, at=NOW).authority, NAMES[0])


async def test_a_renewed_certificate_is_used_for_the_next_connection() -> None:
    first, second = certificate.make(NAMES, at=NOW), certificate.make(NAMES, at=NOW)
    served = Served(first)
    async with health.serving(web.Application(), "127.0.0.1", 0, served.context) as port:
        await handshake(port, first.authority, NAMES[0])
        served.use(second)
        await handshake(port, second.authority, NAMES[0])


def test_when_it_serves() -> None:
    made = certificate.make(NAMES, at=NOW)
    assert certificate.serves(made, NAMES, at=NOW)
    assert certificate.serves(made, NAMES, at=NOW + timedelta(days=304))
    assert not certificate.serves(made, NAMES, at=NOW + timedelta(days=306))
    assert not certificate.serves(made, [*NAMES, "another"], at=NOW)
    assert not certificate.serves(certificate.Certificate("", "nonsense", ""), NAMES, at=NOW)


def test_the_secret_holds_it_and_a_damaged_one_is_seen() -> None:
    made = certificate.make(NAMES, at=NOW)
    secret = registration.to_secret(made, "kubeflow")
    assert registration.from_secret(secret) == made
    assert registration.from_secret({**secret, "data": {"tls.crt": "%%%"}}) is None
    assert made.key not in repr(made)


def test_the_configuration_is_corrected_only_where_it_is_wrong() -> None:
    made = certificate.make(NAMES, at=NOW)
    configuration = {"webhooks": [{"name": "a", "clientConfig": {"service": {}}}]}
    patch = registration.correction(configuration, made.authority)
    assert [step["op"] for step in patch] == ["test", "add"]
    configuration["webhooks"][0]["clientConfig"] = {"caBundle": patch[1]["value"]}
    assert registration.correction(configuration, made.authority) == []
