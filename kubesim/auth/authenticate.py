"""Who sent this request: a client certificate, else a bearer token, else nobody in particular (system:anonymous).

A credential that is wrong is refused (401); only its absence makes a request anonymous.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubesim.auth.certificates import Certificates
from kubesim.auth.tokens import TokenError, Tokens, Verified
from kubesim.auth.user import ANONYMOUS, User
from kubesim.errors import Unauthorized

_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection and a request bring: the TLS peer's certificate (DER), the Authorization header, WebSocket subprotocols offered."""

    certificate: bytes | None = None
    authorization: str = ""
    subprotocols: Sequence[str] = ()


class TokenReviewer(Protocol):
    """Asks someone else about a token that is not ours."""

    async def review(self, token: str, audiences: Sequence[str]) -> Verified:
        """Raises TokenError."""
        ...


class StaticTokens:
    """Tokens given at start, each for one user. Compared by digest, so that timing tells nothing."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = [(_digest(token), user.authenticated()) for token, user in users.items()]

    def user(self, token: str) -> User | None:
        digest = _digest(token)
        return next((user for known, user in self._users if hmac.compare_digest(known, digest)), None)


class Authenticator:
    """The ways of proving who one is, in the order in which they are tried."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        certificates: Certificates | None = None,
        static: StaticTokens | None = None,
        webhook: TokenReviewer | None = None,
    ) -> None:
        self._tokens = tokens
        self._certificates = certificates
        self._static = static
        self._webhook = webhook

    async def authenticate(self, credentials: Credentials) -> User:
        """The user, a member of system:authenticated or of system:unauthenticated. Raises Unauthorized."""
        if credentials.certificate and self._certificates:
            return self._certificates.user(credentials.certificate)
        token = bearer(credentials)
        if not token:
            return ANONYMOUS
        try:
            return (await self.token(token)).user
        except TokenError as error:
            # why stays here: who holds a wrong token learns nothing more
            raise Unauthorized("Unauthorized") from error

    async def token(self, token: str, audiences: Sequence[str] = ()) -> Verified:
        """Who a bearer token speaks for. Raises TokenError."""
        if self._static is not None and (user := self._static.user(token)) is not None:
            return Verified(user, tuple(audiences) or self._tokens.audiences)
        if self._webhook is None or self._tokens.ours(token):
            return self._tokens.verify(token, audiences=audiences)
        return await self._webhook.review(token, audiences)


def bearer(credentials: Credentials) -> str:
    """The bearer token of a request, or "": the header's, or, from a browser's WebSocket, a subprotocol's."""
    scheme, _, token = credentials.authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    offered = [text for text in credentials.subprotocols if text.startswith(_WEBSOCKET_TOKEN)]
    if not offered:
        return ""
    encoded = offered[0].removeprefix(_WEBSOCKET_TOKEN)
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError as error:
        raise Unauthorized("Unauthorized") from error


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
