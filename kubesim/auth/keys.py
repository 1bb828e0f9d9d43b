"""The key that signs service-account tokens: made once, kept in the state directory, readable by its owner only."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(frozen=True)
class SigningKey:
    """An RSA key, and the id that tokens carry: the SHA-256 of the public key, as Kubernetes makes it."""

    private: rsa.RSAPrivateKey
    public: rsa.RSAPublicKey
    id: str

    @classmethod
    def of(cls, private: rsa.RSAPrivateKey) -> SigningKey:
        public = private.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(private, public, _base64(hashlib.sha256(der).digest()))

    def jwk(self) -> dict[str, str]:
        """The public half, as `/openid/v1/jwks` publishes it."""
        numbers = self.public.public_numbers()
        return {
            "use": "sig",
            "kty": "RSA",
            "kid": self.id,
            "alg": "RS256",
            "n": _base64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": _base64(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
        }


def new() -> SigningKey:
    return SigningKey.of(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def load(file: Path) -> SigningKey:
    """The key in `file`; made, 0600, where there is none. A reader never sees half a key: it is written beside and renamed."""
    try:
        return _read(file)
    except FileNotFoundError:
        key = new()
        _write(file, key)
        return key


def _read(file: Path) -> SigningKey:
    private = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ValueError(f"{file} holds no RSA key: remove it, and every service-account token becomes invalid")
    return SigningKey.of(private)


def _write(file: Path, key: SigningKey) -> None:
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(descriptor)
    beside.replace(file)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
