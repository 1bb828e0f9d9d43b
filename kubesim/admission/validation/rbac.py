"""Roles and bindings. Escalation is the authorizer's to refuse."""

from __future__ import annotations

from kubesim.admission.validation import meta, names
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

GROUP = "rbac.authorization.k8s.io"


def role(problems: Problems, obj: Object) -> None:
    _rules(problems, obj, namespaced=True)


def cluster_role(problems: Problems, obj: Object) -> None:
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors") or ()
        if not selectors:
            problems.required(
                "aggregationRule.clusterRoleSelectors",
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            )
        for at, selector in enumerate(selectors):
            meta.selector(problems, selector, f"aggregationRule.clusterRoleSelectors[{at}]")
    _rules(problems, obj, namespaced=False)


def _rules(problems: Problems, obj: Object, *, namespaced: bool) -> None:
    for at, rule in enumerate(obj.get("rules") or ()):
        here, urls = f"rules[{at}]", rule.get("nonResourceURLs") or []
        if not rule.get("verbs"):
            problems.required(f"{here}.verbs", "verbs must contain at least one value")
        if urls:
            if namespaced:
                problems.invalid(f"{here}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                problems.invalid(
                    f"{here}.nonResourceURLs",
                    urls,
                    "rules cannot apply to both regular resources and non-resource URLs",
                )
            continue
        if not rule.get("apiGroups"):
            problems.required(f"{here}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            problems.required(f"{here}.resources", "resource rules must supply at least one resource")


def role_update(problems: Problems, obj: Object, old: Object) -> None:
    role(problems, obj)


def cluster_role_update(problems: Problems, obj: Object, old: Object) -> None:
    cluster_role(problems, obj)


def role_binding(problems: Problems, obj: Object) -> None:
    _binding(problems, obj, kinds=("ClusterRole", "Role"), namespaced=True)


def cluster_role_binding(problems: Problems, obj: Object) -> None:
    _binding(problems, obj, kinds=("ClusterRole",), namespaced=False)


def _binding(problems: Problems, obj: Object, *, kinds: tuple[str, ...], namespaced: bool) -> None:
    reference = obj.get("roleRef") or {}
    if reference.get("apiGroup") != GROUP:
        problems.unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), [GROUP])
    if reference.get("kind") not in kinds:
        problems.unsupported("roleRef.kind", reference.get("kind", ""), kinds)
    if not reference.get("name"):
        problems.required("roleRef.name")
    else:
        for message in names.path_segment(reference["name"]):
            problems.invalid("roleRef.name", reference["name"], message)
    for at, subject in enumerate(obj.get("subjects") or ()):
        _subject(problems, subject, f"subjects[{at}]", namespaced=namespaced)


def _subject(problems: Problems, subject: Object, path: str, *, namespaced: bool) -> None:
    kind, group = subject.get("kind") or "", subject.get("apiGroup") or ""
    if not subject.get("name"):
        problems.required(f"{path}.name")
    if kind == "ServiceAccount":
        for message in names.subdomain(subject["name"]) if subject.get("name") else ():
            problems.invalid(f"{path}.name", subject["name"], message)
        if group:
            problems.unsupported(f"{path}.apiGroup", group, [""])
        if not namespaced and not subject.get("namespace"):
            problems.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != GROUP:
            problems.unsupported(f"{path}.apiGroup", group, [GROUP])
    else:
        problems.unsupported(f"{path}.kind", kind, ["Group", "ServiceAccount", "User"])


def role_binding_update(problems: Problems, obj: Object, old: Object) -> None:
    role_binding(problems, obj)
    _fixed(problems, obj, old)


def cluster_role_binding_update(problems: Problems, obj: Object, old: Object) -> None:
    cluster_role_binding(problems, obj)
    _fixed(problems, obj, old)


def _fixed(problems: Problems, obj: Object, old: Object) -> None:
    """A binding's role never changes. The value prints as the server's internal type does."""
    reference = obj.get("roleRef") or {}
    if reference != old.get("roleRef"):
        internal = {
            "APIGroup": reference.get("apiGroup", ""),
            "Kind": reference.get("kind", ""),
            "Name": reference.get("name", ""),
        }
        problems.invalid("roleRef", internal, "cannot change roleRef")
