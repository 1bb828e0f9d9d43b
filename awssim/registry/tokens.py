"""Tokens of ``aws ecr get-login-password``: they name the access key they were made with, end after 12 hours, and cannot be made up.

Nothing is kept about a token: it is signed with a secret of this registry. It is worth what its access key is worth when it is used, so
deleting the key or taking rights away works at once.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path

from awssim.files import write_atomically

LIFETIME = 12 * 3600


class BadToken(Exception):
    """The token is not one of ours, or has expired; the text is for the client."""


class Tokens:
    def __init__(self, directory: Path) -> None:
        path = directory / "secret"
        if not path.exists():
            write_atomically(path, secrets.token_bytes(32))
        self._secret = path.read_bytes()

    def issue(self, access_key_id: str, *, now: float | None = None) -> tuple[str, float]:
        """A password for the user ``AWS``, and when it ends."""
        expires = (time.time() if now is None else now) + LIFETIME
        payload = json.dumps({"key": access_key_id, "expiration": int(expires), "version": "2"}).encode()
        return base64.b64encode(self._sign(payload) + payload).decode(), expires

    def key_of(self, authorization: str) -> str:
        """The access key behind an ``Authorization: Basic`` header."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise BadToken("Not Authorized")
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
            signed = base64.b64decode(password, validate=True)
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadToken("Not Authorized") from error
        payload = signed[32:]
        if user != "AWS" or not hmac.compare_digest(self._sign(payload), signed[:32]):
            raise BadToken("Not Authorized")
        token = json.loads(payload)
        if token["expiration"] < time.time():
            raise BadToken("Your authorization token has expired. Reauthenticate and try again.")
        return str(token["key"])

    def sign(self, text: str) -> str:
        """A signature for an address that is to work without credentials."""
        return self._sign(text.encode()).hex()

    def _sign(self, payload: bytes) -> bytes:
        return hmac.new(self._secret, payload, hashlib.sha256).digest()
