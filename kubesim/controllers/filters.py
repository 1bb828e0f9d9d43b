"""Where a pod can run and where it runs best: the scheduler's filters and scores, pure.

A filter answers with Kubernetes's words for why a node will not do; an empty answer means it will. They run in Kubernetes's order, and a node's
first refusal is the one that counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kubesim.controllers.amounts import Amounts, add, amounts
from kubesim.controllers.meta import labels_of
from kubesim.resources import Object
from kubesim.selectors import from_label_selector

HOSTNAME = "kubernetes.io/hostname"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


@dataclass
class NodeInfo:
    """A node and the pods on it."""

    node: Object
    pods: dict[str, Object] = field(default_factory=dict)
    """By uid: those that hold their requests (finished ones do not)."""
    requests: dict[str, Amounts] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.node["metadata"]["name"])

    @property
    def spec(self) -> Object:
        return self.node.get("spec") or {}

    @property
    def allocatable(self) -> Amounts:
        status = self.node.get("status") or {}
        return amounts(status.get("allocatable") or status.get("capacity"))

    @property
    def used(self) -> Amounts:
        return add(*self.requests.values())


@dataclass(frozen=True)
class Pending:
    """A pod to place, with what was worked out about it once."""

    pod: Object
    requests: Amounts
    nodes: Sequence[NodeInfo]


Filter = Callable[[Pending, NodeInfo], list[str]]


def node_name(pending: Pending, info: NodeInfo) -> list[str]:
    wanted = pending.pod["spec"].get("nodeName")
    return ["node(s) didn't match the requested node name"] if wanted and wanted != info.name else []


def unschedulable(pending: Pending, info: NodeInfo) -> list[str]:
    taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    if not info.spec.get("unschedulable") or tolerates(pending.pod, taint):
        return []
    return ["node(s) were unschedulable"]


def taints(pending: Pending, info: NodeInfo) -> list[str]:
    hard = [t for t in info.spec.get("taints") or () if t["effect"] in ("NoSchedule", "NoExecute")]
    return ["node(s) had untolerated taint(s)"] if any(not tolerates(pending.pod, t) for t in hard) else []


def affinity(pending: Pending, info: NodeInfo) -> list[str]:
    spec = pending.pod["spec"]
    selector = spec.get("nodeSelector") or {}
    required = _node_affinity(spec).get("requiredDuringSchedulingIgnoredDuringExecution")
    if selector.items() <= labels_of(info.node).items() and (required is None or matches_terms(required, info.node)):
        return []
    return ["node(s) didn't match Pod's node affinity/selector"]


def ports(pending: Pending, info: NodeInfo) -> list[str]:
    wanted = _host_ports(pending.pod)
    if not wanted or all(wanted.isdisjoint(_host_ports(pod)) for pod in info.pods.values()):
        return []
    return ["node(s) didn't have free ports for the requested pod ports"]


def fits(pending: Pending, info: NodeInfo) -> list[str]:
    available, used = info.allocatable, info.used
    refused = []
    if len(info.pods) + 1 > available.get("pods", 110):
        refused.append("Too many pods")
    for name, wanted in sorted(pending.requests.items(), key=_resource_order):
        if wanted > 0 and wanted > available.get(name, 0) - used.get(name, 0):
            refused.append(f"Insufficient {name}")
    return refused


def _resource_order(item: tuple[str, int]) -> tuple[int, str]:
    first = ("cpu", "memory", "ephemeral-storage")
    return (first.index(item[0]) if item[0] in first else len(first), item[0])


def spread(pending: Pending, info: NodeInfo) -> list[str]:
    constraints = pending.pod["spec"].get("topologySpreadConstraints") or ()
    hard = [c for c in constraints if c.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"]
    for constraint in hard:
        key = constraint["topologyKey"]
        if key not in labels_of(info.node):
            return ["node(s) didn't match pod topology spread constraints (missing required label)"]
        counts = _domain_counts(pending, constraint)
        skew = (
            counts[labels_of(info.node)[key]]
            + _selects_itself(pending.pod, constraint)
            - min(counts.values(), default=0)
        )
        if skew > constraint["maxSkew"]:
            return ["node(s) didn't match pod topology spread constraints"]
    return []


def _domain_counts(pending: Pending, constraint: Object) -> Counter[str]:
    key, selector = constraint["topologyKey"], from_label_selector(constraint.get("labelSelector"))
    counts: Counter[str] = Counter()
    for info in pending.nodes:
        if key in labels_of(info.node):
            counts[labels_of(info.node)[key]] += sum(
                _same_namespace(pending.pod, p) and selector.matches(labels_of(p)) for p in info.pods.values()
            )
    return counts


def _selects_itself(pod: Object, constraint: Object) -> int:
    return int(from_label_selector(constraint.get("labelSelector")).matches(labels_of(pod)))


def pod_affinity(pending: Pending, info: NodeInfo) -> list[str]:
    spec = (pending.pod["spec"].get("affinity") or {}).get("podAffinity") or {}
    for term in spec.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        anywhere = any(term_matches(term, pending.pod, p) for i in pending.nodes for p in i.pods.values())
        first = not anywhere and term_matches(term, pending.pod, pending.pod)
        if not first and not _in_domain(term, pending.pod, info, pending.nodes):
            return ["node(s) didn't match pod affinity rules"]
    return []


def pod_anti_affinity(pending: Pending, info: NodeInfo) -> list[str]:
    for term in _anti_terms(pending.pod):
        if _in_domain(term, pending.pod, info, pending.nodes):
            return ["node(s) didn't match pod anti-affinity rules"]
    for other in pending.nodes:
        for pod in other.pods.values():
            for term in _anti_terms(pod):
                key = term["topologyKey"]
                same = labels_of(other.node).get(key) == labels_of(info.node).get(key) is not None
                if same and term_matches(term, pod, pending.pod):
                    return ["node(s) didn't satisfy existing pods anti-affinity rules"]
    return []


def _anti_terms(pod: Object) -> Iterable[Object]:
    spec = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
    return spec.get("requiredDuringSchedulingIgnoredDuringExecution") or ()


def _in_domain(term: Object, owner: Object, info: NodeInfo, nodes: Sequence[NodeInfo]) -> bool:
    key = term["topologyKey"]
    domain = labels_of(info.node).get(key)
    if domain is None:
        return False
    return any(
        term_matches(term, owner, pod)
        for other in nodes
        if labels_of(other.node).get(key) == domain
        for pod in other.pods.values()
    )


def term_matches(term: Object, owner: Object, pod: Object) -> bool:
    """Whether `pod` is one that a (anti-)affinity term of `owner` speaks of."""
    namespaces = term.get("namespaces") or ([] if "namespaceSelector" in term else [owner["metadata"]["namespace"]])
    everywhere = term.get("namespaceSelector") == {}
    if not everywhere and pod["metadata"]["namespace"] not in namespaces:
        return False
    return from_label_selector(term.get("labelSelector")).matches(labels_of(pod))


FILTERS: tuple[Filter, ...] = (
    unschedulable,
    node_name,
    taints,
    affinity,
    ports,
    fits,
    spread,
    pod_affinity,
    pod_anti_affinity,
)

RESOLVABLE_BY_PREEMPTION = (
    "Insufficient ",
    "Too many pods",
    "node(s) didn't have free ports",
    "node(s) didn't match pod anti-affinity",
)


def refusal(pending: Pending, info: NodeInfo) -> list[str]:
    """Why the pod cannot run on this node; empty where it can."""
    return next((reasons for check in FILTERS if (reasons := check(pending, info))), [])


def failure_message(refusals: Mapping[str, Sequence[str]], *, preempting: bool = False) -> str:
    """What FailedScheduling says: every reason with the number of nodes it applies to, then why preemption does not help, if it does not."""
    if not refusals:
        return "no nodes available to schedule pods"
    total = len(refusals)
    counts = Counter(reason for reasons in refusals.values() for reason in reasons)
    text = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    if preempting:
        return f"0/{total} nodes are available: {text}."
    hopeless = sum(not any(r.startswith(RESOLVABLE_BY_PREEMPTION) for r in reasons) for reasons in refusals.values())
    parts = [
        (hopeless, "Preemption is not helpful for scheduling"),
        (total - hopeless, "No preemption victims found for incoming pod"),
    ]
    preemption = ", ".join(sorted(f"{count} {reason}" for count, reason in parts if count))
    return f"0/{total} nodes are available: {text}. no new claims to deallocate, preemption: 0/{total} nodes are available: {preemption}."


def pod_failure_message(reason: str, total: int) -> str:
    """The same for a reason that lies in the pod, whatever the node."""
    preemption = f"preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
    return f"0/{total} nodes are available: {reason}. no new claims to deallocate, {preemption}"


# matching


def tolerates(pod: Object, taint: Object) -> bool:
    return any(_tolerates(t, taint) for t in pod["spec"].get("tolerations") or ())


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _node_affinity(spec: Object) -> Object:
    return (spec.get("affinity") or {}).get("nodeAffinity") or {}


def matches_terms(selector: Object, node: Object) -> bool:
    """A NodeSelector: one of its terms must hold; an empty term matches nothing."""
    return any(matches_term(term, node) for term in selector.get("nodeSelectorTerms") or ())


def matches_term(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    named = {"metadata.name": node["metadata"]["name"]}
    found = [_holds(e, labels_of(node)) for e in expressions] + [_holds(f, named) for f in fields]
    return bool(found) and all(found)


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values: list[str] = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case _:
            return value is not None and int(value) < int(values[0])


def _host_ports(pod: Object) -> set[tuple[int, str]]:
    return {
        (port["hostPort"], port.get("protocol", "TCP"))
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _same_namespace(one: Object, other: Object) -> bool:
    return bool(one["metadata"]["namespace"] == other["metadata"]["namespace"])


# scoring


def score(pending: Pending, info: NodeInfo) -> float:
    """Higher is better: preferences the pod states, then the emptier and more evenly used node."""
    return (
        2 * _preferred(pending.pod, info.node)
        + _least_allocated(pending, info)
        + _balance(pending, info)
        - 3 * _soft_taints(pending.pod, info.node)
    )


def _shares(pending: Pending, info: NodeInfo) -> list[float]:
    available, used = info.allocatable, info.used
    return [
        min(1.0, (used.get(name, 0) + pending.requests.get(name, 0)) / available[name])
        for name in ("cpu", "memory")
        if available.get(name)
    ]


def _least_allocated(pending: Pending, info: NodeInfo) -> float:
    shares = _shares(pending, info)
    return 100 * (1 - sum(shares) / len(shares)) if shares else 0.0


def _balance(pending: Pending, info: NodeInfo) -> float:
    shares = _shares(pending, info)
    return 100 * (1 - (max(shares) - min(shares)) / 2) if shares else 0.0


def _preferred(pod: Object, node: Object) -> float:
    terms = _node_affinity(pod["spec"]).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    total = sum(t["weight"] for t in terms)
    return 100 * sum(t["weight"] for t in terms if matches_term(t["preference"], node)) / total if total else 0.0


def _soft_taints(pod: Object, node: Object) -> float:
    soft = [t for t in (node.get("spec") or {}).get("taints") or () if t["effect"] == "PreferNoSchedule"]
    return 100 * sum(not tolerates(pod, t) for t in soft) / len(soft) if soft else 0.0
