"""Reviews: questions put as objects that are answered and not stored. `kubectl auth can-i` and `auth whoami` ask them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubesim.auth.attributes import Attributes
from kubesim.auth.authenticate import Authenticator
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
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key in ("name", "namespace")}
        if kind == "SelfSubjectReview":
            metadata["creationTimestamp"] = rfc3339(self._clock())
        review: Object = {"kind": kind, "apiVersion": f"{KINDS[kind]}/v1", "metadata": metadata}
        if kind != "SelfSubjectReview":
            review["spec"] = spec
        return review | {"status": status}

    async def _token(self, body: Object, _user: User, _namespace: str) -> tuple[Object, Object]:
        spec = _spec(body)
        token, audiences = spec.get("token") or "", [str(one) for one in spec.get("audiences") or ()]
        if not isinstance(token, str) or not token:
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
        spec = _spec(body)
        return spec, self._decide("SubjectAccessReview", spec, _subject(spec))

    async def _own_access(self, body: Object, user: User, _namespace: str) -> tuple[Object, Object]:
        spec = _spec(body)
        return spec, self._decide("SelfSubjectAccessReview", spec, user)

    async def _local_access(self, body: Object, _user: User, namespace: str) -> tuple[Object, Object]:
        spec = _spec(body)
        asked = spec.get("resourceAttributes")
        if not isinstance(asked, dict) or asked.get("namespace", "") != namespace:
            raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
        return spec, self._decide("LocalSubjectAccessReview", spec, _subject(spec))

    async def _rules(self, body: Object, user: User, _namespace: str) -> tuple[Object, Object]:
        namespace = _spec(body).get("namespace")
        if not namespace or not isinstance(namespace, str):
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
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (resource is None) == (path is None):
            raise _invalid(
                kind,
                "spec.resourceAttributes",
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        decision = self._authorizer.authorize(
            _of_resource(user, resource) if resource is not None else _of_path(user, path)
        )
        return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})


def _spec(body: Object) -> Object:
    spec = body.get("spec")
    if spec is not None and not isinstance(spec, dict):
        raise BadRequest("spec must be an object")
    return spec or {}


def _subject(spec: Object) -> User:
    """The user a SubjectAccessReview asks about, exactly as given: the groups that a sign-in would add are the caller's to name."""
    name, groups, extra = spec.get("user") or "", spec.get("groups") or (), spec.get("extra") or {}
    if not name and not groups:
        raise _invalid("SubjectAccessReview", "spec.user", "at least one of user or group must be specified")
    if not isinstance(groups, (list, tuple)) or not isinstance(extra, dict):
        raise BadRequest("spec.groups must be a list and spec.extra an object")
    return User(str(name), uid=str(spec.get("uid") or ""), groups=tuple(map(str, groups)), extra=freeze_extra(extra))


def _of_resource(user: User, asked: Any) -> Attributes:
    named = _texts(asked, "verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(user, **named)


def _of_path(user: User, asked: Any) -> Attributes:
    named = _texts(asked, "verb", "path")
    return Attributes(user, named["verb"], path=named["path"] or "/")


def _texts(asked: Any, *names: str) -> dict[str, str]:
    if not isinstance(asked, dict):
        raise BadRequest("spec.resourceAttributes and spec.nonResourceAttributes must be objects")
    return {name: str(asked.get(name) or "") for name in names}


def _picked(rule: Object, *names: str) -> Object:
    return {name: rule[name] for name in ("verbs", *names) if rule.get(name)}


def _invalid(kind: str, field: str, message: str) -> Invalid:
    cause = Cause("FieldValueInvalid", f"Invalid value: null: {message}", field)
    return Invalid(
        f'{kind}.{AUTHORIZATION} "" is invalid: {field}: {cause.message}',
        details={"group": AUTHORIZATION, "kind": kind},
        causes=[cause],
    )
