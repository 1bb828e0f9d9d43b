"""The RBAC authorizer: may this user do that.

What a user is granted is read once per user and namespace and kept, and so is every decision, until a role or a binding changes
(`Reader.changed`). A decision that is kept costs about a microsecond. Members of system:masters may do anything, whatever the bindings say,
as in Kubernetes: a broken binding cannot lock the administrator out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubesim.auth.attributes import Attributes, forbidden, quote
from kubesim.auth.reader import Derived, Reader, by_namespace
from kubesim.auth.rules import Rule, rule
from kubesim.auth.user import MASTERS, User, split_service_account
from kubesim.resources import Object

GROUP = "rbac.authorization.k8s.io"
ROLES = f"{GROUP}/v1/roles"
CLUSTER_ROLES = f"{GROUP}/v1/clusterroles"
ROLE_BINDINGS = f"{GROUP}/v1/rolebindings"
CLUSTER_ROLE_BINDINGS = f"{GROUP}/v1/clusterrolebindings"
KINDS = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)
KEPT = 8192
"""Decisions kept at most; then all are forgotten."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` says by which binding a request is allowed, or which role could not be read."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The rules that one binding gives to one user, or the role that is missing."""

    rules: tuple[Rule, ...]
    bodies: tuple[Object, ...]
    source: str
    error: str = ""


@dataclass(frozen=True)
class _Snapshot:
    """All bindings at one moment, and what has been derived from them since."""

    cluster: list[Object]
    namespaced: dict[str, list[Object]]
    grants: dict[tuple[str, tuple[str, ...], str], tuple[Grant, ...]]
    decisions: dict[tuple[str, ...] | tuple[object, ...], Decision]


def _snapshot(reader: Reader) -> _Snapshot:
    cluster = sorted(reader.list(CLUSTER_ROLE_BINDINGS), key=lambda binding: str(binding["metadata"]["name"]))
    return _Snapshot(cluster, by_namespace(reader.list(ROLE_BINDINGS)), {}, {})


class Authorizer:
    """Answers from the store as it is at the moment of asking; never awaits."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._snapshot = Derived(KINDS, _snapshot)

    def authorize(self, attributes: Attributes) -> Decision:
        user = attributes.user
        if MASTERS in user.groups:
            return Decision(True)
        snapshot = self._snapshot.of(self._reader)
        a = attributes
        key = (user.name, user.groups, a.verb, a.group, a.resource, a.subresource, a.namespace, a.name, a.path)
        known = snapshot.decisions.get(key)
        if known is None:
            if len(snapshot.decisions) >= KEPT:
                snapshot.decisions.clear()
            known = snapshot.decisions[key] = _decide(self.grants(user, a.namespace), a)
        return known

    def check(self, attributes: Attributes) -> None:
        """Raise Forbidden, in Kubernetes's words, unless it is allowed."""
        decision = self.authorize(attributes)
        if not decision.allowed:
            raise forbidden(attributes, decision.reason)

    def grants(self, user: User, namespace: str) -> tuple[Grant, ...]:
        """What bindings give this user in a namespace (or, with "", in the whole cluster), in the order they are asked."""
        snapshot = self._snapshot.of(self._reader)
        key = (user.name, user.groups, namespace)
        if key not in snapshot.grants:
            snapshot.grants[key] = tuple(self._bound(snapshot, user, namespace))
        return snapshot.grants[key]

    def _bound(self, snapshot: _Snapshot, user: User, namespace: str) -> Iterator[Grant]:
        for binding in snapshot.cluster:
            yield from self._grant(binding, user, "")
        for binding in snapshot.namespaced.get(namespace, ()) if namespace else ():
            yield from self._grant(binding, user, namespace)

    def _grant(self, binding: Object, user: User, namespace: str) -> Iterator[Grant]:
        subject = next((s for s in binding.get("subjects") or () if _is(s, user, namespace)), None)
        if subject is None:
            return
        reference = binding.get("roleRef") or {}
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        where = f"/{namespace}" if namespace else ""
        bound = f"{'RoleBinding' if namespace else 'ClusterRoleBinding'} {quote(binding['metadata']['name'] + where)}"
        source = f"RBAC: allowed by {bound} of {kind} {quote(name)} to {_described(subject, namespace)}"
        bodies = self.role_rules(kind, name, namespace)
        if bodies is None:
            yield Grant((), (), source, error=f"{kind.lower()}.{GROUP} {quote(name)} not found")
        else:
            yield Grant(tuple(map(rule, bodies)), bodies, source)

    def role_rules(self, kind: str, name: str, namespace: str) -> tuple[Object, ...] | None:
        """The rules of the role a binding refers to; None where there is no such role."""
        key, space = (CLUSTER_ROLES, "") if kind == "ClusterRole" else (ROLES, namespace)
        role = self._reader.get(key, space, name)
        return None if role is None else tuple(role.get("rules") or ())


def _decide(grants: tuple[Grant, ...], attributes: Attributes) -> Decision:
    for grant in grants:
        if any(one.allows(attributes) for one in grant.rules):
            return Decision(True, grant.source)
    errors = list(dict.fromkeys(grant.error for grant in grants if grant.error))
    if not errors:
        return Decision(False)
    return Decision(False, "RBAC: " + (errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"))


def _is(subject: Object, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return bool(name == user.name)
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        return split_service_account(user.name) == (subject.get("namespace") or namespace, name)
    return False


def _described(subject: Object, namespace: str) -> str:
    if subject["kind"] == "ServiceAccount":
        return f"ServiceAccount {quote(subject['name'] + '/' + (subject.get('namespace') or namespace))}"
    return f"{subject['kind']} {quote(subject['name'])}"
