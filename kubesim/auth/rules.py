"""PolicyRules: what one rule allows, whether rules cover other rules, and how Kubernetes writes a rule down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from kubesim.auth.attributes import Attributes, quote
from kubesim.resources import Object

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule, ready to be asked."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def allows(self, attributes: Attributes) -> bool:
        if attributes.verb not in self.verbs and ALL not in self.verbs:
            return False
        if attributes.path:
            return any(path_matches(pattern, attributes.path) for pattern in self.paths)
        if attributes.group not in self.groups and ALL not in self.groups:
            return False
        if self.names and attributes.name not in self.names:
            return False
        return self._has_resource(attributes.resource, attributes.subresource)

    def _has_resource(self, resource: str, subresource: str) -> bool:
        # "pods/*" grants nothing in Kubernetes either: only "*", "pods/log" and "*/log" do.
        if ALL in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources


def rule(body: Object) -> Rule:
    return Rule(
        verbs=frozenset(body.get("verbs") or ()),
        groups=frozenset(body.get("apiGroups") or ()),
        resources=frozenset(body.get("resources") or ()),
        names=frozenset(body.get("resourceNames") or ()),
        paths=frozenset(body.get("nonResourceURLs") or ()),
    )


def path_matches(pattern: str, path: str) -> bool:
    """A pattern is a path, or a prefix that ends in `*`."""
    return pattern in (ALL, path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def uncovered(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The single permissions in `wanted` that no one rule in `owned` gives."""
    return [piece for whole in wanted for piece in pieces(whole) if not any(covers(have, piece) for have in owned)]


def pieces(whole: Rule) -> list[Rule]:
    """A rule as rules of one verb, one group, one resource (and one name) each, or of one path each."""
    single = frozenset
    names: list[frozenset[str]] = [single((name,)) for name in sorted(whole.names)] or [frozenset()]
    found = [
        Rule(verbs=single((verb,)), groups=single((group,)), resources=single((resource,)), names=name)
        for group, resource, verb, name in product(
            sorted(whole.groups), sorted(whole.resources), sorted(whole.verbs), names
        )
    ]
    return found + [
        Rule(verbs=single((verb,)), paths=single((path,)))
        for path, verb in product(sorted(whole.paths), sorted(whole.verbs))
    ]


def covers(owner: Rule, piece: Rule) -> bool:
    if not (ALL in owner.verbs or piece.verbs <= owner.verbs):
        return False
    if piece.paths:
        return all(any(path_matches(pattern, path) for pattern in owner.paths) for path in piece.paths)
    if not (ALL in owner.groups or piece.groups <= owner.groups):
        return False
    if owner.names and not (piece.names and piece.names <= owner.names):
        return False
    return ALL in owner.resources or all(_covers_resource(owner, resource) for resource in piece.resources)


def _covers_resource(owner: Rule, resource: str) -> bool:
    _, slash, subresource = resource.partition("/")
    return resource in owner.resources or (bool(slash) and f"*/{subresource}" in owner.resources)


def compact(missing: Iterable[Rule]) -> list[Rule]:
    """Single permissions joined where only the verb differs, as Kubernetes joins them before it lists them."""
    verbs: dict[Rule, set[str]] = {}
    for piece in missing:
        bare = Rule(frozenset(), piece.groups, piece.resources, piece.names, piece.paths)
        verbs.setdefault(bare, set()).update(piece.verbs)
    return [
        Rule(frozenset(found), bare.groups, bare.resources, bare.names, bare.paths) for bare, found in verbs.items()
    ]


def written(one: Rule) -> str:
    """`{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`"""
    parts = (
        ("APIGroups", one.groups),
        ("Resources", one.resources),
        ("NonResourceURLs", one.paths),
        ("ResourceNames", one.names),
        ("Verbs", one.verbs),
    )
    return "{" + ", ".join(f"{label}:{quoted(sorted(values))}" for label, values in parts if values) + "}"


def quoted(values: Iterable[str]) -> str:
    """Go's %q of a list: `["a" "b"]`."""
    return "[" + " ".join(map(quote, values)) + "]"
