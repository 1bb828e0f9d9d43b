"""Who is asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kubesim.resources import Object

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
NODE_PREFIX = "system:node:"


@dataclass(frozen=True, slots=True)
class User:
    """A user as authentication found them; hashable, so that decisions can be kept by user."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def body(self) -> Object:
        """As reviews and webhooks carry it (`userInfo`)."""
        body: Object = {"username": self.name}
        if self.uid:
            body["uid"] = self.uid
        if self.groups:
            body["groups"] = list(self.groups)
        if self.extra:
            body["extra"] = {key: list(values) for key, values in self.extra}
        return body

    def authenticated(self) -> User:
        """The same user with the group that everyone who proved who they are is in."""
        if AUTHENTICATED in self.groups or UNAUTHENTICATED in self.groups:
            return self
        return replace(self, groups=(*self.groups, AUTHENTICATED))


ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
SYSTEM = User("system:apiserver", groups=(MASTERS, AUTHENTICATED))


def component(name: str) -> User:
    """The identity of a part of kubesim itself, such as `system:kube-controller-manager`: trusted, a member of system:masters.

    Kubernetes gives each controller a role of its own; here they are one process with the API server, so a role would guard nothing.
    """
    return User(name, groups=(MASTERS, AUTHENTICATED))


def service_account_user(
    namespace: str, name: str, *, uid: str = "", extra: Mapping[str, Sequence[str]] | None = None
) -> User:
    return User(
        f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}",
        uid=uid,
        groups=service_account_groups(namespace),
        extra=freeze_extra(extra or {}),
    )


def service_account_groups(namespace: str) -> tuple[str, ...]:
    return (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)


def split_service_account(name: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name."""
    if not name.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, found, account = name[len(SERVICE_ACCOUNT_PREFIX) :].partition(":")
    return (namespace, account) if found and namespace and account and ":" not in account else None


def freeze_extra(extra: Mapping[str, Sequence[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((key, tuple(values)) for key, values in sorted(extra.items()))
