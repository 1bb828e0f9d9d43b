"""The ClusterRoles and ClusterRoleBindings a cluster starts with, as Kubernetes's API server keeps them at every start.

`roles.json` holds what a stock cluster publishes (labels, aggregation label, rules); the rules of aggregated roles are computed, not stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from kubesim.auth.aggregate import aggregated_rules
from kubesim.auth.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP
from kubesim.auth.reader import Reader
from kubesim.auth.rules import rule, uncovered
from kubesim.resources import Object, clone

_API_VERSION = f"{GROUP}/v1"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "cluster-admin": (("Group", "system:masters"),),
    "system:basic-user": (("Group", "system:authenticated"),),
    "system:discovery": (("Group", "system:authenticated"),),
    "system:kube-scheduler": (("User", "system:kube-scheduler"),),
    "system:monitoring": (("Group", "system:monitoring"),),
    "system:node": (("Group", "system:nodes"),),
    "system:public-info-viewer": (("Group", "system:authenticated"), ("Group", "system:unauthenticated")),
    "system:service-account-issuer-discovery": (("Group", "system:serviceaccounts"),),
}
"""Each binds the ClusterRole of its own name. system:node has a subject here: there is no node authorizer behind it."""


@cache
def cluster_roles() -> tuple[Object, ...]:
    data = json.loads(Path(__file__).with_name("roles.json").read_text())
    roles = [_role(name, entry) for name, entry in data.items()]
    # view folds into edit and edit into admin, so the innermost is computed first
    for name in ("view", "edit", "admin"):
        role = next(role for role in roles if role["metadata"]["name"] == name)
        role["rules"] = aggregated_rules(role, roles)
    return tuple(roles)


@cache
def cluster_role_bindings() -> tuple[Object, ...]:
    return tuple(_binding(name, subjects) for name, subjects in _BINDINGS.items())


def _role(name: str, entry: Object) -> Object:
    role: Object = {
        "apiVersion": _API_VERSION,
        "kind": "ClusterRole",
        "metadata": _metadata(name, entry.get("labels", {})),
        "rules": entry.get("rules", []),
    }
    if "aggregates" in entry:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": entry["aggregates"]}]}
    return role


def _binding(name: str, subjects: tuple[tuple[str, str], ...]) -> Object:
    return {
        "apiVersion": _API_VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name, {}),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": kind, "apiGroup": GROUP, "name": subject} for kind, subject in subjects],
    }


def _metadata(name: str, labels: dict[str, str]) -> Object:
    return {"name": name, "labels": _LABELS | labels, "annotations": {AUTOUPDATE: "true"}}


def pending(reader: Reader) -> Iterator[tuple[str, Object]]:
    """What a start must write: (key, object) for each default that is missing or has lost something it should have.

    An object that exists comes with its metadata as stored (so it is an update); one whose autoupdate annotation is "false" is left alone.
    """
    yield from _pending(reader, CLUSTER_ROLES, cluster_roles(), _missing_rules)
    yield from _pending(reader, CLUSTER_ROLE_BINDINGS, cluster_role_bindings(), _missing_subjects)


def _pending(
    reader: Reader, key: str, wanted: tuple[Object, ...], repaired: Callable[[Object, Object], Object | None]
) -> Iterator[tuple[str, Object]]:
    for default in wanted:
        stored = reader.get(key, "", default["metadata"]["name"])
        if stored is None:
            yield key, clone(default)
        elif (stored["metadata"].get("annotations") or {}).get(AUTOUPDATE) != "false":
            repair = repaired(stored, default)
            if repair is not None:
                yield key, repair


def _missing_rules(stored: Object, default: Object) -> Object | None:
    if "aggregationRule" in default:
        return None  # the aggregation controller's
    have = stored.get("rules") or []
    lost = [body for body in default["rules"] if uncovered([rule(one) for one in have], [rule(body)])]
    return {**stored, "rules": [*have, *lost]} if lost else None


def _missing_subjects(stored: Object, default: Object) -> Object | None:
    have = stored.get("subjects") or []
    lost = [subject for subject in default["subjects"] if not any(subject.items() <= one.items() for one in have)]
    return {**stored, "subjects": [*have, *lost]} if lost else None
