"""Certificates, bearer tokens, nobody: who a request is from."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kubesim.auth import keys
from kubesim.auth.authenticate import Authenticator, Credentials, StaticTokens
from kubesim.auth.certificates import Certificates
from kubesim.auth.tokens import Tokens
from kubesim.auth.user import ANONYMOUS, User
from kubesim.errors import Unauthorized
from kubesim.pki import Authority
from tests.kubesim.auth.memory import Memory, namespaced

CA = Authority.create()
TOKENS = Tokens(keys.new(), MEMORY := Memory())
ACCOUNT = MEMORY.put("v1/serviceaccounts", namespaced("sa", "n"))


DEEP = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.e30"


def authenticator() -> Authenticator:
    static = StaticTokens({"bootstrap-secret": User("system:bootstrap", groups=("system:bootstrappers",))})
    return Authenticator(TOKENS, certificates=Certificates(CA.certificate), static=static)


def der(authority: Authority, user: str, *groups: str) -> bytes:
    return x509.load_pem_x509_certificate(authority.client(user, groups).certificate).public_bytes(Encoding.DER)


async def refused(credentials: Credentials) -> None:
    with pytest.raises(Unauthorized) as caught:
        await authenticator().authenticate(credentials)
    assert caught.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


async def test_a_certificate_names_a_user_and_groups() -> None:
    user = await authenticator().authenticate(
        Credentials(der(CA, "user01@mlops.local", "mlops:tenants", "mlops:instructors"))
    )
    assert user.name == "user01@mlops.local"
    assert user.groups == ("mlops:tenants", "mlops:instructors", "system:authenticated")
    assert dict(user.extra)["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


async def test_a_certificate_is_believed_before_a_token() -> None:
    user = await authenticator().authenticate(Credentials(der(CA, "u"), authorization="Bearer garbage"))
    assert user.name == "u"


async def test_certificates_of_others_of_servers_and_of_nobody_are_refused() -> None:
    await refused(Credentials(der(Authority.create(), "system:admin", "system:masters")))
    server = x509.load_pem_x509_certificate(CA.server().certificate).public_bytes(Encoding.DER)
    await refused(Credentials(server))
    await refused(Credentials(CA.certificate.public_bytes(Encoding.DER)))
    await refused(Credentials(b"no certificate"))


def test_a_certificate_ends_also_on_a_connection_that_is_older() -> None:
    now = datetime.now(UTC)
    certificates = Certificates(CA.certificate, clock=lambda: now)
    raw = der(CA, "u")
    assert certificates.user(raw).name == "u"
    now += timedelta(days=366)
    with pytest.raises(Unauthorized):
        certificates.user(raw)
    now -= timedelta(days=800)
    with pytest.raises(Unauthorized):
        certificates.user(raw)


async def test_bearer_tokens() -> None:
    token = TOKENS.issue(ACCOUNT)
    for header in (f"Bearer {token}", f"bearer  {token} "):
        assert (
            await authenticator().authenticate(Credentials(authorization=header))
        ).name == "system:serviceaccount:n:sa"
    boot = await authenticator().authenticate(Credentials(authorization="Bearer bootstrap-secret"))
    assert boot.groups == ("system:bootstrappers", "system:authenticated")


async def test_a_browsers_websocket_brings_its_token_as_a_subprotocol() -> None:
    encoded = base64.urlsafe_b64encode(TOKENS.issue(ACCOUNT).encode()).rstrip(b"=").decode()
    offered = ["v5.channel.k8s.io", f"base64url.bearer.authorization.k8s.io.{encoded}"]
    assert (await authenticator().authenticate(Credentials(subprotocols=offered))).name == "system:serviceaccount:n:sa"
    await refused(Credentials(subprotocols=["base64url.bearer.authorization.k8s.io.\x00\xff"]))


@pytest.mark.parametrize("header", ["", "Basic dXNlcjpwYXNz", "Bearer", "Bearer  ", "garbage"])
async def test_who_brings_nothing_is_nobody(header: str) -> None:
    assert await authenticator().authenticate(Credentials(authorization=header)) == ANONYMOUS


@pytest.mark.parametrize(
    "token", ["garbage", "a.b.c", "bootstrap-secre", "é\udcff", "." * 5000, "k8s-aws-v1.x", DEEP, f"a.{DEEP}.c"]
)
async def test_who_brings_something_wrong_is_refused(token: str) -> None:
    await refused(Credentials(authorization=f"Bearer {token}"))
