"""Tokens of ``aws eks get-token``: a presigned GetCallerIdentity, checked here and never sent anywhere.

The token is the address of an STS call signed with the name of the cluster in a header. Its host is whatever the client's endpoint is (the
stand-in's own where AWS_ENDPOINT_URL is set): the signature covers it, and nothing is ever asked of it.
"""

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from awssim import sigv4
from awssim.asgi import Request
from awssim.errors import Refused

_PREFIX = "k8s-aws-v1."
_LONGEST = 16384
_EMPTY = hashlib.sha256(b"").hexdigest()
_CALL = {"Action": ["GetCallerIdentity"], "Version": ["2011-06-15"]}


def verify(token: str, cluster: str, credential_of: Callable[[str, str], Any]) -> Any:
    """The credential that signed ``token`` for ``cluster``; raises Refused where it is not good."""
    request = _request(token, cluster)
    signature = sigv4.read(request)
    if signature is None or signature.service != "sts" or not signature.presigned:
        raise Refused("InvalidToken", "not a signed call of STS")
    if "x-k8s-aws-id" not in signature.signed_headers.split(";"):
        raise Refused("InvalidToken", "the token is for no cluster")
    if any(request.query.get(name) != value for name, value in _CALL.items()):
        raise Refused("InvalidToken", "not a call of GetCallerIdentity")
    sigv4.check_time(signature, dt.datetime.now(dt.UTC))
    credential = credential_of(signature.access_key_id, signature.session_token)
    sigv4.check(request, signature, sigv4.signing_key(signature, credential.secret_access_key), _EMPTY)
    return credential


def _request(token: str, cluster: str) -> Request:
    """The call that the token's maker signed."""
    if not token.startswith(_PREFIX) or len(token) > _LONGEST:
        raise Refused("InvalidToken", "not a token of aws eks get-token")
    text = token.removeprefix(_PREFIX)
    try:
        address = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (binascii.Error, ValueError) as error:
        raise Refused("InvalidToken", "not base64 of an address") from error
    query = parse_qs(address.query, keep_blank_values=True)
    if address.path not in ("", "/") or any(len(values) != 1 for values in query.values()):
        raise Refused("InvalidToken", "not the address of an STS call")
    return Request("GET", "/", "/", query, {"host": address.netloc, "x-k8s-aws-id": cluster})
