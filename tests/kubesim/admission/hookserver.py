"""A webhook: an HTTPS server on loopback that answers AdmissionReviews by a function."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kubesim.pki import Authority
from kubesim.resources import Object
from tests.kubesim.admission.world import World


@dataclass
class HookServer:
    """`asked` is every `request` that came; `answer` turns one into a `response` (uid is added)."""

    answer: Callable[[Object], Object]
    bundle: str
    port: int = 0
    asked: list[Object] = field(default_factory=list)
    raw: Callable[[Object], web.Response] | None = None
    """Where set, the whole HTTP answer instead."""
    pause: asyncio.Event | asyncio.Barrier | None = None
    """Where set, no answer comes before it."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/check"

    async def handle(self, http: web.Request) -> web.Response:
        review = orjson.loads(await http.read())
        self.asked.append(review["request"])
        if self.pause is not None:
            await self.pause.wait()
        if self.raw is not None:
            return self.raw(review)
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    def install(self, world: World, kind: str, name: str, *, plural: str = "pods", **more: Any) -> None:
        """Write a configuration of one webhook `name` into the world; `kind` is "mutating" or "validating"."""
        rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": [plural]}
        webhook: Object = {
            "name": name,
            "clientConfig": {"url": self.url, "caBundle": self.bundle},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **more,
        }
        key = f"admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
        world.memory.put(key, {"metadata": {"name": f"{name}-configuration"}, "webhooks": [webhook]})


def patch(*operations: Object) -> Object:
    """An allowed response with a JSON patch."""
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}


def annotate(name: str, value: str) -> Object:
    return patch({"op": "add", "path": "/metadata/annotations", "value": {name: value}})


@contextlib.asynccontextmanager
async def serving(
    folder: Path, answer: Callable[[Object], Object], *, names: tuple[str, ...] = ()
) -> AsyncIterator[HookServer]:
    """The server, for 127.0.0.1 or, where names are given, for those names only."""
    authority = Authority.create()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_files(folder, authority, names))
    server = HookServer(answer, base64.b64encode(authority.pem).decode())
    app = web.Application()
    app.router.add_post("/check", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def _files(folder: Path, authority: Authority, names: tuple[str, ...]) -> tuple[Path, Path]:
    certificate, key = folder / "hook.crt", folder / "hook.key"
    if not names:
        pair = authority.server()
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        return certificate, key
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hook")])
    wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    request = (
        x509.CertificateSigningRequestBuilder(subject).add_extension(wanted, critical=False).sign(private, SHA256())
    )
    certificate.write_bytes(authority.sign(request.public_bytes(Encoding.PEM), ["server auth"]))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key
