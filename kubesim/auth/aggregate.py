"""What an aggregated ClusterRole's rules are: those of every ClusterRole its selectors find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubesim.resources import Object


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Object] | None:
    """The rules `role` should have, or None where it is not an aggregated role.

    Rules are taken role by role in the order of names, each rule once; a role never selects itself.
    """
    if not (role.get("aggregationRule") or {}).get("clusterRoleSelectors"):
        return None
    rules: list[Object] = []
    for other in sorted(roles, key=lambda other: str(other["metadata"]["name"])):
        if contributes(other, role):
            rules.extend(rule for rule in other.get("rules") or () if rule not in rules)
    return rules


def contributes(other: Object, role: Object) -> bool:
    """Whether a change of `other` can change the aggregated `role`."""
    if other["metadata"]["name"] == role["metadata"]["name"]:
        return False
    labels = other["metadata"].get("labels") or {}
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    return any(selects(selector, labels) for selector in selectors)


def selects(selector: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    """A metav1.LabelSelector on labels; an empty one selects everything."""
    wanted = selector.get("matchLabels")
    expressions = selector.get("matchExpressions")
    if isinstance(wanted, Mapping) and any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return not isinstance(expressions, Sequence) or all(_holds(expression, labels) for expression in expressions)


def _holds(expression: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    key, operator = str(expression.get("key", "")), expression.get("operator")
    values = expression.get("values")
    listed = isinstance(values, Sequence) and labels.get(key) in values
    if operator == "In":
        return key in labels and listed
    if operator == "NotIn":
        return key not in labels or not listed
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels
