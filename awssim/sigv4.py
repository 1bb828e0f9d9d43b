"""Signature Version 4: reading a request's signature, and recomputing it with the secret.

Pure. ministack's own primitives are used where they are right; what is ours is what it leaves out: a declared payload hash is compared
with the body, S3 refuses ``x-amz-`` headers that nobody signed, and every key, root's too, is checked.
"""

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import unquote

from ministack.core import sigv4

from awssim.asgi import Request
from awssim.errors import Refused

UNSIGNED = "UNSIGNED-PAYLOAD"
_QUERY_SIGNATURE = ("x-amz-algorithm", "x-amz-credential", "x-amz-signature", "awsaccesskeyid")
_WEEK = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a request says about who signed it, and the parts the signature covers."""

    access_key_id: str
    date: str
    region: str
    service: str
    time: str
    signed_headers: str
    value: str
    session_token: str
    presigned: bool
    expires: int = 0

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read(request: Request) -> Signature | None:
    """The request's signature, or None where it carries no credentials at all."""
    authorization = request.headers.get("authorization", "")
    in_query = any(name in _QUERY_SIGNATURE for name in map(str.lower, request.query))
    if authorization and in_query:
        raise Refused("InvalidArgument", "Only one auth mechanism allowed", status=400)
    if authorization:
        if not authorization.startswith("AWS4-HMAC-SHA256 "):
            raise Refused("UnsupportedSignature", "Please use AWS4-HMAC-SHA256.")
        if any(authorization.count(f"{name}=") > 1 for name in ("Credential", "SignedHeaders", "Signature")):
            raise Refused("IncompleteSignature", "Authorization header has a parameter twice.")
        return _signature(
            sigv4.parse_header_signature(request.headers), request.headers.get("x-amz-security-token", "")
        )
    return _presigned(request) if in_query else None


def _presigned(request: Request) -> Signature:
    if request.parameter("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
        raise Refused("UnsupportedSignature", "Please use AWS4-HMAC-SHA256.")
    names = [
        name.lower() for name, values in request.query.items() for _ in values if name.lower().startswith("x-amz-")
    ]
    if len(set(names)) != len(names):
        raise Refused("AuthorizationQueryParametersError", "A query-string parameter is given twice.", status=400)
    parsed = sigv4.parse_query_signature(request.query)
    expires = request.parameter("X-Amz-Expires")
    if not isinstance(parsed, tuple) and parsed.service == "s3" and not expires:
        raise Refused("IncompleteSignature", "X-Amz-Expires must be given")
    seconds = int(expires) if expires.isascii() and expires.isdigit() else (-1 if expires else 0)
    return _signature(parsed, request.parameter("X-Amz-Security-Token"), presigned=True, expires=seconds)


def _signature(
    parsed: "sigv4.HeaderSignature | tuple[str, str]", token: str, *, presigned: bool = False, expires: int = 0
) -> Signature:
    if isinstance(parsed, tuple):
        raise Refused(*parsed)
    return Signature(
        access_key_id=parsed.access_key_id, date=parsed.date_stamp, region=parsed.region, service=parsed.service,
        time=parsed.amz_date, signed_headers=parsed.signed_headers, value=parsed.signature, session_token=token,
        presigned=presigned, expires=expires,
    )  # fmt: skip


def check_time(signature: Signature, now: dt.datetime) -> None:
    """Refuse a request signed too far from ``now``, or a presigned S3 address past its end."""
    if signature.date != signature.time[:8]:
        raise Refused("CredentialDateMismatch", "Date in Credential scope does not match the date of the request. ")
    try:
        signed = dt.datetime.strptime(signature.time, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        raise Refused(
            "IncompleteSignature", f"Date must be in ISO-8601 'basic format'. Got '{signature.time}'."
        ) from None
    if signature.presigned and signature.service == "s3":
        if not 0 < signature.expires <= _WEEK:
            raise Refused("AuthorizationQueryParametersError", "X-Amz-Expires must be between 1 and 604800 seconds")
        if now > signed + dt.timedelta(seconds=signature.expires):
            raise Refused("RequestExpired", "Request has expired")
        if signed > now + dt.timedelta(minutes=15):
            raise Refused("RequestNotYetValid", "Request is not valid yet")
        return
    skewed = sigv4.request_time_failure(_for_ministack(signature), now=now)
    if skewed:
        raise Refused(*skewed)


def _for_ministack(signature: Signature) -> "sigv4.HeaderSignature":
    return sigv4.HeaderSignature(
        signature.access_key_id, signature.date, signature.region, signature.service, signature.signed_headers,
        signature.value, signature.time,
    )  # fmt: skip


def signing_key(signature: Signature, secret: str) -> bytes:
    return bytes(sigv4.derive_signing_key(secret, signature.date, signature.region, signature.service))


def check(request: Request, signature: Signature, key: bytes, payload_hash: str) -> None:
    """Refuse a request whose signature is not the one that ``key`` gives."""
    names = signature.signed_headers.lower().split(";")
    if "host" not in names:
        raise Refused("SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH)
    if signature.service == "s3":
        _check_all_signed(request, names)
    text = "\n".join(
        ["AWS4-HMAC-SHA256", signature.time, signature.scope, _sha256(_canonical(request, signature, payload_hash))]
    )
    if not hmac.compare_digest(sign(key, text).encode(), signature.value.encode()):
        raise Refused("SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH)


def _check_all_signed(request: Request, names: list[str]) -> None:
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in names]
    if [name for name in unsigned if name != "x-amz-content-sha256"]:
        raise Refused("HeadersNotSigned", "There were headers present in the request which were not signed")


def _canonical(request: Request, signature: Signature, payload_hash: str) -> str:
    path = sigv4.uri_encode(unquote(request.raw_path), encode_slash=False)
    if signature.service != "s3":
        path = sigv4.uri_encode(request.raw_path, encode_slash=False)
    query = sigv4.build_canonical_query_string(
        request.query, exclude=("x-amz-signature",) if signature.presigned else ()
    )
    headers = sigv4.build_canonical_headers(request.headers, signature.signed_headers)
    return "\n".join([request.method, path, query, headers, signature.signed_headers, payload_hash])


def sign(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
