"""NetworkPolicies, pods and namespaces -> `Rules`: labels become addresses here, and nowhere else. Pure.

Semantics of networking.k8s.io/v1: a policy selects pods of its namespace; `policyTypes` default to Ingress, and Egress where there are egress
rules; no rules close the direction, an empty rule opens it; peers are pods (of this namespace, or of the namespaces that namespaceSelector
finds) or address blocks with exceptions; ports are numbers, ranges (endPort) or names of the target's container ports. TCP only: nothing else
passes between pods here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kubesim.node.network import Frontend, real_port
from kubesim.node.rules import ANY_PORT, ANYWHERE, Gate, Rules, Span, number
from kubesim.resources import Object
from kubesim.selectors import from_label_selector


@dataclass(frozen=True)
class Peer:
    """A pod as policies see it: who it is, where it is, and how its ports are called."""

    namespace: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


def peer(pod: Object, address: str) -> Peer:
    """The pod `pod`, which has this address."""
    metadata = pod["metadata"]
    everyone = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]
    named = {
        port["name"]: int(port["containerPort"])
        for container in everyone
        for port in container.get("ports") or []
        if port.get("name") and port.get("protocol", "TCP") == "TCP"
    }
    return Peer(metadata["namespace"], address, metadata.get("labels") or {}, named)


def compile_rules(
    policies: Iterable[Object],
    pods: Sequence[Peer],
    namespaces: Mapping[str, Mapping[str, str]],
    frontends: Iterable[Frontend] = (),
    *,
    offset: int = 0,
) -> Rules:
    """`namespaces` are labels by name, `frontends` what the service proxy serves, `offset` what low ports are moved by."""
    world = _World(pods, namespaces, offset)
    ingress: dict[str, list[Gate]] = {}
    egress: dict[str, list[Gate]] = {}
    for policy in policies:
        spec = policy["spec"]
        chosen = world.selected(policy["metadata"]["namespace"], spec.get("podSelector") or {})
        kinds = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        for one in chosen:
            if "Ingress" in kinds:
                ingress.setdefault(one.address, []).extend(world.ingress(policy, one))
            if "Egress" in kinds:
                egress.setdefault(one.address, []).extend(world.egress(policy))
    if not ingress and not egress:
        return Rules()
    services = {f"{one.address}:{one.port}": one.backends for one in frontends if one.backends}
    return Rules(_frozen(ingress), _frozen(egress), services)


def _frozen(gates: Mapping[str, Sequence[Gate]]) -> dict[str, tuple[Gate, ...]]:
    return {address: tuple(dict.fromkeys(found)) for address, found in sorted(gates.items())}


@dataclass(frozen=True)
class _World:
    pods: Sequence[Peer]
    namespaces: Mapping[str, Mapping[str, str]]
    offset: int

    def selected(self, namespace: str, selector: Object) -> list[Peer]:
        matches = from_label_selector(selector).matches
        return [one for one in self.pods if one.namespace == namespace and matches(one.labels)]

    def ingress(self, policy: Object, target: Peer) -> Iterator[Gate]:
        for rule in policy["spec"].get("ingress") or []:
            ports = self._ports(rule.get("ports") or [], target)
            if ports:
                yield Gate(ports, self._addresses(policy, rule.get("from") or []))

    def egress(self, policy: Object) -> Iterator[Gate]:
        """Names of ports are those of the pod that is called, so such a port makes a gate per target."""
        for rule in policy["spec"].get("egress") or []:
            wanted, to = rule.get("ports") or [], rule.get("to") or []
            peers = self._addresses(policy, to)
            plain = [port for port in wanted if not isinstance(port.get("port"), str)]
            if not wanted or plain:
                yield Gate(self._ports(plain, None), peers)
            for target in self.pods if len(plain) < len(wanted) else ():
                ports = self._ports([port for port in wanted if isinstance(port.get("port"), str)], target)
                place = number(target.address)
                if ports and any(first <= place <= last for first, last in peers):
                    yield Gate(ports, ((place, place),))

    def _ports(self, ports: Sequence[Object], target: Peer | None) -> tuple[Span, ...]:
        """No ports at all are all ports; ports of which none is TCP, or whose name the target does not have, are none."""
        return tuple(self._spans(ports, target)) if ports else ANY_PORT

    def _spans(self, ports: Sequence[Object], target: Peer | None) -> Iterator[Span]:
        for port in ports:
            if port.get("protocol", "TCP") != "TCP":
                continue
            wanted = port.get("port")
            if wanted is None:
                yield from ANY_PORT
            elif isinstance(wanted, int):
                yield self._moved(wanted, int(port.get("endPort") or wanted))
            elif target is not None and wanted in target.ports:
                yield self._moved(target.ports[wanted], target.ports[wanted])

    def _moved(self, first: int, last: int) -> Span:
        """Pods' low ports are elsewhere where this user may not have them. A range that begins low and ends high is taken as it is, and more."""
        low = real_port("127.10.0.0", first, self.offset)
        return (
            (low, real_port("127.10.0.0", last, self.offset))
            if last < 1024 or low == first
            else (first, max(last, 1023 + self.offset))
        )

    def _addresses(self, policy: Object, peers: Sequence[Object]) -> tuple[Span, ...]:
        """No peers at all are everybody."""
        if not peers:
            return ANYWHERE
        return merged(span for one in peers for span in self._peer(policy["metadata"]["namespace"], one))

    def _peer(self, home: str, one: Object) -> Iterator[Span]:
        if block := one.get("ipBlock"):
            yield from _block(block)
            return
        names = {home}
        if "namespaceSelector" in one:
            matches = from_label_selector(one["namespaceSelector"]).matches
            names = {name for name, labels in self.namespaces.items() if matches(labels)}
        wanted = from_label_selector(one.get("podSelector") or {}).matches
        for pod in self.pods:
            if pod.namespace in names and wanted(pod.labels):
                yield number(pod.address), number(pod.address)


def _block(block: Object) -> Iterator[Span]:
    whole = ipaddress.ip_network(block["cidr"], strict=False)
    if not isinstance(whole, ipaddress.IPv4Network):
        return
    holes = sorted(_span(ipaddress.ip_network(text, strict=False)) for text in block.get("except") or [] if "." in text)
    first, last = _span(whole)
    for begin, end in holes:
        if begin > first:
            yield first, min(begin - 1, last)
        first = max(first, end + 1)
    if first <= last:
        yield first, last


def _span(block: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Span:
    return int(block.network_address), int(block.broadcast_address)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same numbers in as few spans as possible, in order: what is sent stays small, and equal sets are equal."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)
