"""HTTPS on request: a server's certificate by the lab's CA, made anew at every start, for every name that clients know the stand-in by."""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from awssim.errors import StateUnusable
from awssim.files import private_directory, write_atomically

_GOOD_FOR = dt.timedelta(days=365)
_BEFORE = dt.timedelta(minutes=5)  # a client's clock may be a little behind


def issue(authority: Path, authority_key: Path, *, folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """The files of a certificate for ``names``, hosts and addresses, and of its key. Raises StateUnusable where the CA cannot be read."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    signer, signing_key = _authority(authority, authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    made = _certificate(signer, signing_key, key.public_key(), sorted(set(names)))
    private_directory(folder)
    files = folder / "tls.crt", folder / "tls.key"
    chain = (made, signer)
    write_atomically(files[0], b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(files[1], secret)
    return files


def _authority(certificate: Path, key: Path) -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()), serialization.load_pem_private_key(
            key.read_bytes(), None
        )
    except (OSError, ValueError, TypeError) as error:
        raise StateUnusable(
            f"{certificate}: no CA to make a certificate with ({error}); ./inv up makes the lab's"
        ) from error


def _certificate(signer: Any, signing_key: Any, public_key: Any, names: list[str]) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "awssim")]))
        .issuer_name(signer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(min(now + _GOOD_FOR, signer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([_name(text) for text in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return builder.sign(signing_key, hashes.SHA256())


def _name(text: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
