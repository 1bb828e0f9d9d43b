"""Tokens that live in Secrets of type kubernetes.io/service-account-token, for programs that want one that does not expire.

Such a token has no times and no audience. It is good as long as its Secret holds this very token and its service account is the one it was made
for: deleting the Secret ends it. A controller writes it into the Secret (`kubesim.controllers.serviceaccount.TokenSecrets`).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Any

from kubesim.auth.reader import Reader
from kubesim.auth.user import User, service_account_user
from kubesim.resources import Object

ISSUER = "kubernetes/serviceaccount"
_CLAIM = "kubernetes.io/serviceaccount"


class Refused(Exception):
    """The text is for TokenReview, never for an anonymous caller."""


def claims(account: Object, secret: Object) -> dict[str, Any]:
    """What a token says: who, and which Secret it lies in."""
    namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
    return {
        "iss": ISSUER,
        f"{_CLAIM}/namespace": namespace,
        f"{_CLAIM}/secret.name": secret["metadata"]["name"],
        f"{_CLAIM}/service-account.name": name,
        f"{_CLAIM}/service-account.uid": account["metadata"]["uid"],
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


def user(token: str, said: Mapping[str, Any], reader: Reader) -> User:
    """The service account a token with these (signed) claims speaks for. Raises Refused."""
    namespace, secret, name, uid = (
        str(said.get(f"{_CLAIM}/{part}", ""))
        for part in ("namespace", "secret.name", "service-account.name", "service-account.uid")
    )
    held = reader.get("v1/secrets", namespace, secret)
    if held is None or "deletionTimestamp" in held["metadata"]:
        raise Refused(f"secret {namespace}/{secret} has been deleted")
    kept = base64.b64decode((held.get("data") or {}).get("token") or "")
    if not hmac.compare_digest(kept, token.encode()):
        raise Refused(f"secret {namespace}/{secret} holds another token")
    account = reader.get("v1/serviceaccounts", namespace, name)
    if account is None or account["metadata"]["uid"] != uid:
        raise Refused(f"serviceaccount {namespace}/{name} is not the one the token was made for")
    return service_account_user(namespace, name, uid=uid, extra={})
