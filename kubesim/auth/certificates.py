"""Client certificates: CN is the user, each O a group."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubesim.auth.user import User
from kubesim.errors import Unauthorized

_KEPT = 512


class Certificates:
    """Reads users from certificates that the cluster's CA issued for clients.

    TLS has verified the chain in the handshake already; it is verified here again because a handshake is long ago on a connection that lives
    long (the certificate may have expired since), and because this class must be right whatever the listener's TLS settings are.
    """

    def __init__(self, ca: x509.Certificate, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._ca = ca
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[User, datetime, datetime]] = OrderedDict()

    def user(self, der: bytes) -> User:
        """The certificate's user. Raises Unauthorized."""
        found = self._known.get(der)
        if found is None:
            found = self._read(der)
            self._known[der] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        user, begins, ends = found
        if not begins <= self._clock() <= ends:
            raise Unauthorized("Unauthorized")
        return user

    def _read(self, der: bytes) -> tuple[User, datetime, datetime]:
        try:
            certificate = x509.load_der_x509_certificate(der)
            certificate.verify_directly_issued_by(self._ca)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
            raise Unauthorized("Unauthorized") from error
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names or not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
            raise Unauthorized("Unauthorized")
        groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        digest = hashlib.sha256(der).hexdigest()
        user = User(
            str(names[-1].value),
            groups=tuple(str(group.value) for group in groups),
            extra=(("authentication.kubernetes.io/credential-id", (f"X509SHA256={digest}",)),),
        )
        return user.authenticated(), certificate.not_valid_before_utc, certificate.not_valid_after_utc
