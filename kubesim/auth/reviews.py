"""Reviews: questions put as objects that are answered and not stored. `kubectl auth can-i` and `auth whoami` ask them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from kubesim.auth.attributes import Attributes
from kubesim.auth.authenticate import Authenticator
from kubesim.auth.fields import struct, text, texts
from kubesim.auth.rbac import Authorizer
from kubesim.auth.tokens import TokenError, rfc3339
from kubesim.auth.user import User, freeze_extra
from kubesim.errors import BadRequest, Cause, Invalid
from kubesim.resources import Object

AUTHORIZATION = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
KINDS: Mapping[str, str] = {
    "TokenReview": AUTHENTICATION,
    "SelfSubjectReview": AUTHENTICATION,
    "SubjectAccessReview": AUTHORIZATION,
    "SelfSubjectAccessReview": AUTHORIZATION,
    "LocalSubjectAccessReview": AUTHORIZATION,
    "SelfSubjectRulesReview": AUTHORIZATION,
}
"""The kinds that are answered here, and their API groups."""

_Answer = Callable[[Object, User, str], Awaitable[tuple[Object, Object]]]


class Reviews:
    """Answers what a POST of a review asks. `clock` gives seconds since 1970."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._clock = clock
        self._answers: Mapping[str, _Answer] = {
            "TokenReview": self._token,
            "SelfSubjectReview": self._self,
            "SubjectAccessReview": self._access,
            "SelfSubjectAccessReview": self._own_access,
            "LocalSubjectAccessReview": self._local_access,
            "SelfSubjectRulesReview": self._rules,
        }

    async def create(self, kind: str, body: Object, user: User, namespace: str = "") -> Object:
        """The review with its answer. Raises BadRequest or Invalid for a question that makes no sense, KeyError for an unknown kind."""
        spec, status = await self._answers[kind](body, user, namespace)
        given = struct(body, "metadata")
        metadata: Object = {key: given[key] for key in ("name", "namespace") if key in given}
        if kind == "SelfSubjectReview":
            metadata["creationTimestamp"] = rfc3339(self._clock())
        review: Object = {"kind": kind, "apiVersion": f"{KINDS[kind]}/v1", "metadata": metadata}
        if kind != "SelfSubjectReview":
            review["spec"] = spec
        return review | {"status": status}

    async def _token(self, body: Object, _user: User, _namespace: str) -> tuple[Object, Object]:
        spec = struct(body, "spec")
        token, audiences = text(spec, "token"), texts(spec, "audiences")
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            verified = await self._authenticator.token(token, audiences)
        except TokenError as error:
            return spec, {"user": {}, "error": f"[invalid bearer token, {error}]"}
        status: Object = {"authenticated": True, "user": verified.user.body()}
        return spec, status | ({"audiences": list(verified.audiences)} if verified.audiences else {})

    async def _self(self, _body: Object, user: User, _namespace: str) -> tuple[Object, Object]:
        return {}, {"userInfo": user.body()}

    async def _access(self, body: Object, _user: User, _namespace: str) -> tuple[Object, Object]:
        spec = struct(body, "spec")
        return spec, self._decide("SubjectAccessReview", spec, _subject(spec))

    async def _own_access(self, body: Object, user: User, _namespace: str) -> tuple[Object, Object]:
        spec = struct(body, "spec")
        return spec, self._decide("SelfSubjectAccessReview", spec, user)

    async def _local_access(self, body: Object, _user: User, namespace: str) -> tuple[Object, Object]:
        spec = struct(body, "spec")
        if text(struct(spec, "resourceAttributes"), "namespace") != namespace:
            raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
        return spec, self._decide("LocalSubjectAccessReview", spec, _subject(spec))

    async def _rules(self, body: Object, user: User, _namespace: str) -> tuple[Object, Object]:
        namespace = text(struct(body, "spec"), "namespace")
        if not namespace:
            raise BadRequest("no namespace on request")
        grants = self._authorizer.grants(user, namespace)
        errors = "; ".join(dict.fromkeys(grant.error for grant in grants if grant.error))
        rules = [rule for grant in grants for rule in grant.bodies]
        status: Object = {
            "resourceRules": [
                _picked(rule, "apiGroups", "resources", "resourceNames") for rule in rules if rule.get("resources")
            ],
            "nonResourceRules": [_picked(rule, "nonResourceURLs") for rule in rules if rule.get("nonResourceURLs")],
            "incomplete": bool(errors),
        }
        return {}, status | ({"evaluationError": errors} if errors else {})

    def _decide(self, kind: str, spec: Object, user: User) -> Object:
        if (spec.get("resourceAttributes") is None) == (spec.get("nonResourceAttributes") is None):
            raise _invalid(
                kind,
                "spec.resourceAttributes",
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        decision = self._authorizer.authorize(_attributes(user, spec))
        return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})


def _subject(spec: Object) -> User:
    """The user a SubjectAccessReview asks about, exactly as given: the groups that a sign-in would add are the caller's to name."""
    name, groups, extra = text(spec, "user"), texts(spec, "groups"), struct(spec, "extra")
    if not name and not groups:
        raise _invalid("SubjectAccessReview", "spec.user", "at least one of user or group must be specified")
    return User(
        name, uid=text(spec, "uid"), groups=groups, extra=freeze_extra({key: texts(extra, key) for key in extra})
    )


def _attributes(user: User, spec: Object) -> Attributes:
    if spec.get("resourceAttributes") is None:
        asked = struct(spec, "nonResourceAttributes")
        return Attributes(user, text(asked, "verb"), path=text(asked, "path") or "/")
    asked = struct(spec, "resourceAttributes")
    names = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(user, **{name: text(asked, name) for name in names})


def _picked(rule: Object, *names: str) -> Object:
    return {name: rule[name] for name in ("verbs", *names) if rule.get(name)}


def _invalid(kind: str, field: str, message: str) -> Invalid:
    cause = Cause("FieldValueInvalid", f"Invalid value: null: {message}", field)
    return Invalid(
        f'{kind}.{AUTHORIZATION} "" is invalid: {field}: {cause.message}',
        details={"group": AUTHORIZATION, "kind": kind},
        causes=[cause],
    )
