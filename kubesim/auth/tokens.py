"""Service-account tokens: JWTs that name a service account, and may be bound to a pod, a secret or a node.

A token is good while its signature, issuer, audience and times are, and while its service account and what it is bound to exist with the uid they
had: deleting a pod ends its tokens. The signature of a token seen before is not computed again; everything else is looked up each time.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from kubesim.auth import legacy
from kubesim.auth.fields import number, struct, text, texts
from kubesim.auth.keys import SigningKey
from kubesim.auth.reader import Reader
from kubesim.auth.user import User, service_account_user
from kubesim.errors import BadRequest, Cause, Conflict, Invalid, NotFound
from kubesim.resources import Object

ISSUER = "https://kubernetes.default.svc.cluster.local"
JWKS_PATH = "/openid/v1/jwks"
SERVICE_ACCOUNTS = "v1/serviceaccounts"
_BOUND = {"Pod": "v1/pods", "Secret": "v1/secrets", "Node": "v1/nodes"}
_EXTRA = "authentication.kubernetes.io"
_GRACE = 60.0
"""Seconds that a token outlives the deletion of what it is bound to, so that a dying pod can say goodbye."""
_KEPT = 1024
_REQUIRED = frozenset({"aud", "exp", "iat", "nbf", "kubernetes.io"})
_MALFORMED = (jwt.PyJWTError, ValueError, RecursionError)
"""What reading a token that is none may raise; the last for JSON nested thousands deep."""
_LONGEST = 8192
"""Characters; a longer bearer token is refused unread."""


class TokenError(Exception):
    """The token is not one of ours, or no longer good. The text is for TokenReview, never for an anonymous caller."""


@dataclass(frozen=True, slots=True)
class Verified:
    user: User
    audiences: tuple[str, ...]


class Tokens:
    """Makes and verifies tokens with one key. `clock` gives seconds since 1970."""

    def __init__(
        self,
        key: SigningKey,
        reader: Reader,
        *,
        issuer: str = ISSUER,
        audiences: Sequence[str] = (ISSUER,),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._reader = reader
        self._issuer = issuer
        self._clock = clock
        self._claims: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self.audiences = tuple(audiences)
        """The API server's own: what a request's token must be for, and what a TokenRequest without audiences gets."""

    def issue(
        self, account: Object, *, seconds: int = 3600, audiences: Sequence[str] = (), bound: Object | None = None
    ) -> str:
        """A token for a ServiceAccount; `bound` is the Pod, Secret or Node whose end is the token's."""
        now = int(self._clock())
        namespace = account["metadata"]["namespace"]
        private = {"namespace": namespace, "serviceaccount": _reference(account)}
        if bound is not None:
            private[bound["kind"].lower()] = _reference(bound)
            private |= self._node_of(bound)
        claims = {
            "aud": list(audiences or self.audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self._issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{account['metadata']['name']}",
        }
        return self._sign(claims)

    def lasting(self, account: Object, secret: Object) -> str:
        """The token of a Secret of type kubernetes.io/service-account-token."""
        return self._sign(legacy.claims(account, secret))

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key.private, algorithm="RS256", headers={"kid": self._key.id, "typ": None})

    def _node_of(self, bound: Object) -> dict[str, Any]:
        """A pod's token names the pod's node too."""
        name = (bound.get("spec") or {}).get("nodeName") if bound["kind"] == "Pod" else None
        if not name:
            return {}
        node = self._reader.get(_BOUND["Node"], "", name)
        return {"node": _reference(node) if node else {"name": name}}

    def ours(self, token: str) -> bool:
        """Whether the token says it comes from this issuer; nothing is verified."""
        try:
            claimed = _plausible(token) and jwt.decode(token, options={"verify_signature": False}).get("iss")
            return claimed in (self._issuer, legacy.ISSUER)
        except _MALFORMED:
            return False

    def verify(self, token: str, *, audiences: Sequence[str] = ()) -> Verified:
        """Who the token speaks for, and for which of the wanted audiences (the API server's where none are named). Raises TokenError."""
        claims = self._signed(token)
        if claims["iss"] == legacy.ISSUER:
            return self._lasting(token, claims, audiences)
        now = self._clock()
        if not claims["nbf"] <= now + 1 or now >= claims["exp"]:
            raise TokenError("service account token has expired")
        wanted = tuple(audiences) or self.audiences
        shared = tuple(audience for audience in wanted if audience in claims["aud"])
        if not shared:
            raise TokenError(f"token audiences {claims['aud']} is invalid for the target audiences {list(wanted)}")
        return Verified(self._user(claims), shared)

    def _lasting(self, token: str, claims: Mapping[str, Any], audiences: Sequence[str]) -> Verified:
        """It is for the API server, and for nobody else."""
        shared = tuple(audience for audience in audiences or self.audiences if audience in self.audiences)
        if not shared:
            raise TokenError(
                f"token audiences {list(self.audiences)} is invalid for the target audiences {list(audiences)}"
            )
        try:
            return Verified(legacy.user(token, claims, self._reader), shared)
        except legacy.Refused as error:
            raise TokenError(str(error)) from error

    def _signed(self, token: str) -> Mapping[str, Any]:
        if token in self._claims:
            self._claims.move_to_end(token)
            return self._claims[token]
        if not _plausible(token):
            raise TokenError("token is too long, or no ASCII")
        try:
            claims = jwt.decode(
                token,
                self._key.public,
                algorithms=["RS256"],
                issuer=[self._issuer, legacy.ISSUER],
                options={
                    "require": ["iss", "sub"],
                    # looked at each time, by our clock
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except _MALFORMED as error:
            raise TokenError(str(error)) from error
        missing = _REQUIRED - claims.keys()
        if claims["iss"] != legacy.ISSUER and missing:
            raise TokenError(f"token is missing the claims {sorted(missing)}")
        self._claims[token] = claims
        while len(self._claims) > _KEPT:
            self._claims.popitem(last=False)
        return claims

    def _user(self, claims: Mapping[str, Any]) -> User:
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        self._alive(SERVICE_ACCOUNTS, namespace, account)
        extra = {f"{_EXTRA}/credential-id": (f"JTI={claims.get('jti', '')}",)}
        for kind, key in _BOUND.items():
            reference = private.get(kind.lower())
            if reference is None:
                continue
            if kind != "Node" or "pod" not in private:
                self._alive(key, "" if kind == "Node" else namespace, reference)
            if kind != "Secret":
                extra[f"{_EXTRA}/{kind.lower()}-name"] = (reference["name"],)
                extra |= {f"{_EXTRA}/{kind.lower()}-uid": (reference["uid"],)} if "uid" in reference else {}
        return service_account_user(namespace, account["name"], uid=account["uid"], extra=extra)

    def _alive(self, key: str, namespace: str, reference: Mapping[str, str]) -> None:
        found = self._reader.get(key, namespace, reference["name"])
        what = f"{key.rpartition('/')[2]} {namespace + '/' if namespace else ''}{reference['name']}"
        if found is None:
            raise TokenError(f"{what} has been deleted")
        if found["metadata"]["uid"] != reference["uid"]:
            raise TokenError(f"{what} is not the one the token was made for")
        deleted = found["metadata"].get("deletionTimestamp")
        if deleted and self._clock() > datetime.fromisoformat(deleted).timestamp() + _GRACE:
            raise TokenError(f"{what} has been deleted")

    def request(self, account: Object, body: Object) -> Object:
        """What a TokenRequest for a ServiceAccount answers (`serviceaccounts/NAME/token`)."""
        spec = struct(body, "spec")
        seconds = number(spec, "expirationSeconds", default=3600)
        _check_seconds(text(struct(body, "metadata"), "name"), seconds)
        audiences = list(texts(spec, "audiences") or self.audiences)
        reference = struct(spec, "boundObjectRef")
        token = self.issue(account, seconds=seconds, audiences=audiences, bound=self._bound(account, reference))
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": account["metadata"]["name"],
                "namespace": account["metadata"]["namespace"],
                "uid": account["metadata"]["uid"],
                "creationTimestamp": rfc3339(self._clock()),
            },
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference or None},
            "status": {"token": token, "expirationTimestamp": rfc3339(int(self._clock()) + seconds)},
        }

    def _bound(self, account: Object, reference: Object) -> Object | None:
        if not reference:
            return None
        kind, name, uid = (text(reference, field) for field in ("kind", "name", "uid"))
        if kind not in _BOUND:
            raise BadRequest(
                f"cannot bind token for serviceaccount to object of type {reference.get('apiVersion')}, Kind={kind}"
            )
        namespace = "" if kind == "Node" else account["metadata"]["namespace"]
        found = self._reader.get(_BOUND[kind], namespace, name)
        plural = _BOUND[kind].rpartition("/")[2]
        if found is None:
            raise NotFound(f'{plural} "{name}" not found', details={"name": name, "kind": plural})
        if uid and uid != found["metadata"]["uid"]:
            raise Conflict(
                f'Operation cannot be fulfilled on {plural} "{name}": the UID in the bound object reference ({uid}) '
                "does not match the UID in record. The object might have been deleted and then recreated",
                details={"name": name, "kind": plural},
            )
        if kind == "Pod" and (found.get("spec") or {}).get("serviceAccountName") != account["metadata"]["name"]:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{account["metadata"]["name"]}" to pod running with different serviceaccount name.'
            )
        return {"kind": kind, **found}

    def jwks(self) -> Object:
        return {"keys": [self._key.jwk()]}

    def openid_configuration(self, server: str) -> Object:
        """What `/.well-known/openid-configuration` answers; `server` is this API server's own URL."""
        return {
            "issuer": self._issuer,
            "jwks_uri": f"{server.rstrip('/')}{JWKS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }


def _plausible(token: str) -> bool:
    return len(token) <= _LONGEST and token.isascii()


def _reference(obj: Object) -> dict[str, str]:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _check_seconds(name: str, seconds: int) -> None:
    problem = ""
    if seconds < 600:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > 1 << 32:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        cause = Cause("FieldValueInvalid", f"Invalid value: {seconds}: {problem}", "spec.expirationSeconds")
        raise Invalid(
            f'TokenRequest.authentication.k8s.io "{name}" is invalid: {cause.field}: {cause.message}',
            details={"name": name, "group": "authentication.k8s.io", "kind": "TokenRequest"},
            causes=[cause],
        )


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
