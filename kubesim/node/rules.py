"""Who may connect to whom on the pod network: NetworkPolicies as addresses and ports, small enough to be asked for every connection.

Made by `kubesim.node.policies`, sent as JSON to the service proxy and to the shims, which ask it. It knows nothing of labels and nothing of
Kubernetes, and imports the standard library only, because every shim carries it.

As on Kubernetes: a pod that no policy selects is open; what the gates of a pod let through is added up; a pod reaches itself, and the node and
its pods reach each other whatever policies say (probes, port-forward, node ports, the API server's proxy and webhooks come from the node).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Span = tuple[int, int]
"""First and last, both included: of ports, or of addresses as numbers."""

ANY_PORT: tuple[Span, ...] = ((0, 0xFFFF),)
ANYWHERE: tuple[Span, ...] = ((0, 0xFFFFFFFF),)
_PODS, _LOOPBACKS = "127.10.", "127.12."


@dataclass(frozen=True)
class Gate:
    """One rule: these ports, for these peers."""

    ports: tuple[Span, ...]
    peers: tuple[Span, ...]

    def lets(self, peer: int, port: int) -> bool:
        return _within(port, self.ports) and _within(peer, self.peers)


@dataclass(frozen=True)
class Rules:
    """`ingress` and `egress` have an entry for each address that is closed in that direction, with the gates that open it; `services` says
    which backends stand behind an address and port ("127.11.0.9:80")."""

    ingress: Mapping[str, tuple[Gate, ...]] = field(default_factory=dict)
    egress: Mapping[str, tuple[Gate, ...]] = field(default_factory=dict)
    services: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ingress or self.egress)

    def allow(self, source: str, target: str, port: int) -> bool:
        """A connection from a pod's (or the node's) address to a pod or anywhere else; not to a Service: those have no rules of their own."""
        if not source.startswith(_PODS) or source == target:
            return True
        if (gates := self.ingress.get(target)) is not None and not _open(gates, source, port):
            return False
        gates = None if _is_node(target) else self.egress.get(source)
        return gates is None or _open(gates, target, port)

    def reach(self, source: str, target: str, port: int) -> bool:
        """The same for any address: a Service is reached where one of its backends is. A pod's loopback is nobody else's."""
        if target.startswith(_LOOPBACKS):
            return target == source.replace(_PODS, _LOOPBACKS, 1)
        backends = self.services.get(f"{target}:{port}") if self else None
        if not backends:
            return self.allow(source, target, port)
        return any(self.allow(source, *backend) for backend in backends)

    def to_json(self) -> dict[str, Any]:
        return {
            "ingress": {
                address: [[gate.ports, gate.peers] for gate in gates] for address, gates in self.ingress.items()
            },
            "egress": {address: [[gate.ports, gate.peers] for gate in gates] for address, gates in self.egress.items()},
            "services": {place: [list(backend) for backend in backends] for place, backends in self.services.items()},
        }

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> Rules:
        return Rules(
            ingress={address: _gates(gates) for address, gates in body.get("ingress", {}).items()},
            egress={address: _gates(gates) for address, gates in body.get("egress", {}).items()},
            services={
                place: tuple((str(address), int(port)) for address, port in backends)
                for place, backends in body.get("services", {}).items()
            },
        )


def number(address: str) -> int:
    """An IPv4 address as a number, in the order in which people read it."""
    return int.from_bytes(socket.inet_aton(address), "big")


def _gates(body: Sequence[Any]) -> tuple[Gate, ...]:
    return tuple(Gate(_spans(ports), _spans(peers)) for ports, peers in body)


def _spans(body: Sequence[Any]) -> tuple[Span, ...]:
    return tuple((int(first), int(last)) for first, last in body)


def _open(gates: Sequence[Gate], peer: str, port: int) -> bool:
    return any(gate.lets(number(peer), port) for gate in gates)


def _within(value: int, spans: Sequence[Span]) -> bool:
    return any(first <= value <= last for first, last in spans)


def _is_node(address: str) -> bool:
    """Loopback addresses that are neither a pod's nor a Service's are the node itself."""
    return address.startswith("127.") and not address.startswith((_PODS, _LOOPBACKS))
