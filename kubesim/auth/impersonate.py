"""Acting as someone else: the Impersonate-* headers, and the permissions they take.

Kubernetes 1.36 knows two ways. Constrained: the impersonator may `impersonate:user-info` that user (or `impersonate:serviceaccount`) and
`impersonate-on:user-info:VERB` the resource at hand. Unconstrained, as ever: `impersonate` on users, groups, serviceaccounts, uids and
userextras. Either is enough; a refusal names the constrained permission that is missing first, as Kubernetes's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from kubesim.auth.attributes import Attributes, forbidden
from kubesim.auth.rbac import Authorizer
from kubesim.auth.user import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    NODE_PREFIX,
    UNAUTHENTICATED,
    User,
    freeze_extra,
    service_account_groups,
    split_service_account,
)
from kubesim.errors import BadRequest

_PREFIX = "impersonate-"
_EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the headers ask for."""

    user: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]


def requested(names: Iterable[str]) -> bool:
    """Whether a request has impersonation headers at all."""
    return any(name[: len(_PREFIX)].lower() == _PREFIX for name in names)


def impersonate(attributes: Attributes, headers: Sequence[tuple[str, str]], authorizer: Authorizer) -> User:
    """The user a request is to be done as: `attributes.user`, or whom its headers name where that user may. Raises Forbidden, BadRequest."""
    wanted = _wanted(headers)
    if wanted is None:
        return attributes.user
    if MASTERS not in attributes.user.groups:
        _check(attributes, wanted, authorizer)
    return _become(wanted)


def _wanted(headers: Sequence[tuple[str, str]]) -> _Wanted | None:
    found = [(name.lower(), value) for name, value in headers if name.lower().startswith(_PREFIX)]
    if not found:
        return None
    users = [value for name, value in found if name == "impersonate-user" and value]
    if not users:
        raise BadRequest("requested impersonation of groups, a uid or extra values without impersonating a user")
    extra: dict[str, list[str]] = {}
    for name, value in found:
        if name.startswith(_EXTRA):
            extra.setdefault(unquote(name.removeprefix(_EXTRA)), []).append(value)
    return _Wanted(
        user=users[0],
        uid=next((value for name, value in found if name == "impersonate-uid"), ""),
        groups=tuple(value for name, value in found if name == "impersonate-group"),
        extra=freeze_extra(extra),
    )


def _check(attributes: Attributes, wanted: _Wanted, authorizer: Authorizer) -> None:
    if all(authorizer.authorize(one).allowed for one in _unconstrained(attributes.user, wanted)):
        return
    for one in _constrained(attributes, wanted):
        decision = authorizer.authorize(one)
        if not decision.allowed:
            raise forbidden(one, decision.reason)


def _unconstrained(user: User, wanted: _Wanted) -> Iterator[Attributes]:
    base = Attributes(user, "impersonate", version="v1")
    account = split_service_account(wanted.user)
    if account:
        yield replace(base, resource="serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield replace(base, resource="users", name=wanted.user)
    for group in wanted.groups:
        yield replace(base, resource="groups", name=group)
    yield from _details(replace(base, group=_AUTHENTICATION), wanted)


def _constrained(attributes: Attributes, wanted: _Wanted) -> Iterator[Attributes]:
    account = split_service_account(wanted.user)
    mode = "serviceaccount" if account else "arbitrary-node" if wanted.user.startswith(NODE_PREFIX) else "user-info"
    yield replace(attributes, verb=f"impersonate-on:{mode}:{attributes.verb}")
    base = Attributes(attributes.user, f"impersonate:{mode}", group=_AUTHENTICATION, version="v1")
    if account:
        yield replace(base, resource="serviceaccounts", namespace=account[0], name=account[1])
    elif mode == "arbitrary-node":
        yield replace(base, resource="nodes", name=wanted.user.removeprefix(NODE_PREFIX))
    else:
        yield replace(base, resource="users", name=wanted.user)
    for group in wanted.groups:
        yield replace(base, resource="groups", name=group)
    yield from _details(base, wanted)


def _details(base: Attributes, wanted: _Wanted) -> Iterator[Attributes]:
    if wanted.uid:
        yield replace(base, resource="uids", name=wanted.uid)
    for key, values in wanted.extra:
        for value in values:
            yield replace(base, resource="userextras", subresource=key, name=value)


def _become(wanted: _Wanted) -> User:
    groups = wanted.groups
    account = split_service_account(wanted.user)
    if account and not groups:
        groups = service_account_groups(account[0])
    membership = UNAUTHENTICATED if wanted.user == ANONYMOUS.name else AUTHENTICATED
    if not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
        groups = (*groups, membership)
    return User(wanted.user, uid=wanted.uid, groups=groups, extra=wanted.extra)
