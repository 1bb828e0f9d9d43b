"""Nobody grants what they do not have: roles and bindings may only be written by those who hold the permissions in them.

The way out is a permission of its own: `escalate` on the role, `bind` on the role that a binding refers to, or system:masters.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.attributes import Attributes, quote
from kubesim.auth.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP, ROLE_BINDINGS, ROLES, Authorizer
from kubesim.auth.reader import Reader
from kubesim.auth.rules import Rule, compact, quoted, rule, uncovered, written
from kubesim.auth.user import MASTERS
from kubesim.errors import NotFound
from kubesim.resources import Object

_EVERYTHING = (
    Rule(frozenset("*"), groups=frozenset("*"), resources=frozenset("*")),
    Rule(frozenset("*"), paths=frozenset("*")),
)
_COLLECTORS = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")


class RoleEscalation(Plugin):
    kinds = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if request.resource.group != GROUP or request.operation not in ("CREATE", "UPDATE"):
            return
        if MASTERS in request.user.groups or _is_the_collectors(request):
            return
        if request.resource.key in (ROLES, CLUSTER_ROLES):
            self._check_role(request)
        elif request.resource.key in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            self._check_binding(request)

    def _check_role(self, request: AdmissionRequest) -> None:
        if self._may(request, "escalate", request.resource.plural, request.name):
            return
        self._check_rules(request, request.body.get("rules") or ())
        if request.body.get("aggregationRule") and uncovered(self._held(request), _EVERYTHING):
            raise request.forbid("must have cluster-admin privileges to use an aggregationRule")

    def _check_binding(self, request: AdmissionRequest) -> None:
        reference = request.body.get("roleRef") or {}
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        if self._may(request, "bind", "clusterroles" if kind == "ClusterRole" else "roles", name):
            return
        rules = self._authorizer.role_rules(kind, name, request.namespace)
        if rules is None:
            details = {"name": name, "group": GROUP, "kind": kind.lower()}
            raise NotFound(f"{kind.lower()}.{GROUP} {quote(name)} not found", details=details)
        self._check_rules(request, rules)

    def _check_rules(self, request: AdmissionRequest, bodies: Sequence[Object]) -> None:
        missing = uncovered(self._held(request), map(rule, bodies))
        if missing:
            user = request.user
            lines = "\n".join(sorted(written(one) for one in compact(missing)))
            raise request.forbid(
                f"user {quote(user.name)} (groups={quoted(user.groups)}) is attempting to grant RBAC permissions "
                f"not currently held:\n{lines}{self._errors(request)}"
            )

    def _errors(self, request: AdmissionRequest) -> str:
        errors = [grant.error for grant in self._authorizer.grants(request.user, request.namespace) if grant.error]
        return f"; resolution errors: [{', '.join(errors)}]" if errors else ""

    def _held(self, request: AdmissionRequest) -> list[Rule]:
        grants = self._authorizer.grants(request.user, request.namespace)
        return [one for grant in grants for one in grant.rules]

    def _may(self, request: AdmissionRequest, verb: str, resource: str, name: str) -> bool:
        asked = Attributes(
            request.user, verb, group=GROUP, version="v1", resource=resource, namespace=request.namespace, name=name
        )
        return self._authorizer.authorize(asked).allowed


def _is_the_collectors(request: AdmissionRequest) -> bool:
    """An update of nothing but owner references and finalizers: the garbage collector's, who grants nothing by it."""
    return request.operation == "UPDATE" and request.old is not None and _essence(request.old) == _essence(request.body)


def _essence(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _COLLECTORS}
    return {**obj, "metadata": metadata}
