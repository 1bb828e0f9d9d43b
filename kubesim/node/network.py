"""Addresses and names: pods' addresses, the cluster's DNS as a hosts file, and what the service proxy must listen on..

Pods live in 127.10.0.0/16, each with a loopback of its own at the same place in 127.12.0.0/16; Services in 127.11.0.0/16.
"""

from __future__ import annotations

import ipaddress
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubesim.resources import Object

DOMAIN = "cluster.local"
POD_NETWORK = "127.10.0.0/16"
LOW_PORT_OFFSET = 20000
NODE_ADDRESS = "127.0.0.1"

_FIRST, _LAST = int(ipaddress.ip_address("127.10.0.2")), int(ipaddress.ip_address("127.10.255.254"))


class Exhausted(Exception):
    """Every pod address is taken."""


class Addresses:
    """Hands out pod addresses; one that was given back is not given again soon."""

    def __init__(self, seed: str = "") -> None:
        """`seed` chooses where to begin, so that two clusters on one machine seldom meet."""
        self.taken: dict[str, str] = {}
        self.next = _FIRST + 256 * (zlib.crc32(seed.encode()) % 250 if seed else 0)

    def adopt(self, uid: str, address: str) -> None:
        """Keep the address of a pod that runs already; the next new address comes after it."""
        self.taken[address] = uid
        number = int(ipaddress.ip_address(address))
        if _FIRST <= number <= _LAST:
            self.next = max(self.next, number + 1) if number < _LAST else _FIRST

    def take(self, uid: str) -> str:
        for _ in range(_LAST - _FIRST + 1):
            address = str(ipaddress.ip_address(self.next))
            self.next = self.next + 1 if self.next < _LAST else _FIRST
            if address not in self.taken:
                self.taken[address] = uid
                return address
        raise Exhausted("no pod address is left in " + POD_NETWORK)

    def keep(self, uid: str, address: str) -> None:
        """The address a pod says it has."""
        self.taken.setdefault(address, uid)

    def give_back(self, uid: str) -> None:
        self.taken = {address: owner for address, owner in self.taken.items() if owner != uid}


def loopback_of(address: str) -> str:
    """The pod's own loopback address, where a program that binds 127.0.0.1 lands."""
    return address.replace("127.10.", "127.12.", 1)


def low_port_offset() -> int:
    """0 where this user may bind ports under 1024, else what is added to them for pods and Services."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        first = 1024
    return 0 if os.geteuid() == 0 or first <= 80 else LOW_PORT_OFFSET


def real_port(address: str, port: int, offset: int) -> int:
    """The port that stands for a low port of a pod or Service on this machine."""
    return port + offset if offset and port < 1024 and address.startswith(("127.10.", "127.11.", "127.12.")) else port


# DNS


def search_domains(namespace: str) -> list[str]:
    return [f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN]


def names(services: Iterable[Object], slices: Iterable[Object]) -> dict[str, list[str]]:
    """Full DNS names and their addresses: cluster IPs, and the pods behind headless Services."""
    by_service = _by_service(slices)
    found: dict[str, list[str]] = {}
    for service in services:
        name = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{DOMAIN}"
        spec, key = service["spec"], (service["metadata"]["namespace"], service["metadata"]["name"])
        if spec.get("type") == "ExternalName":
            continue
        if spec.get("clusterIP") not in (None, "", "None"):
            found[name] = [spec["clusterIP"]]
            continue
        if spec.get("clusterIP") != "None":
            continue
        for host, address in _headless(by_service.get(key, []), not_ready=bool(spec.get("publishNotReadyAddresses"))):
            found.setdefault(name, []).append(address)
            if host:
                found.setdefault(f"{host}.{name}", []).append(address)
    for service in services:
        if service["spec"].get("type") == "ExternalName" and (
            target := found.get(service["spec"]["externalName"].rstrip("."))
        ):
            found[f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{DOMAIN}"] = target
    return found


def _headless(slices: Iterable[Object], *, not_ready: bool) -> Iterator[tuple[str, str]]:
    seen = set()
    for piece in slices:
        for endpoint in piece.get("endpoints") or []:
            if not_ready or (endpoint.get("conditions") or {}).get("ready") is not False:
                for address in endpoint["addresses"]:
                    if address not in seen:
                        seen.add(address)
                        yield endpoint.get("hostname", ""), address


def _by_service(slices: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    grouped: dict[tuple[str, str], list[Object]] = {}
    for piece in slices:
        service = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        if service and piece.get("addressType") == "IPv4":
            grouped.setdefault((piece["metadata"]["namespace"], service), []).append(piece)
    return grouped


def hosts_text(found: Mapping[str, Sequence[str]]) -> str:
    """The node's hosts file: a line per address and name, full names only."""
    return "".join(f"{address} {name}\n" for name, addresses in sorted(found.items()) for address in addresses)


def pod_hosts(
    found: Mapping[str, Sequence[str]], *, namespace: str, own: str, aliases: Iterable[tuple[str, str]] = ()
) -> str:
    """A pod's /etc/hosts, for programs that know no search domains: every form that a cluster's resolver would accept."""
    lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", own]
    for name, addresses in sorted(found.items()):
        short = name.removesuffix(f".svc.{DOMAIN}")
        forms = [name, f"{short}.svc", short]
        if short.endswith(f".{namespace}"):
            forms.append(short.removesuffix(f".{namespace}"))
        lines += [f"{address}\t{' '.join(forms)}" for address in addresses]
    lines += [f"{address}\t{host}" for address, host in aliases]
    return "\n".join(lines) + "\n"


# The service proxy


@dataclass(frozen=True)
class Frontend:
    """One address and port that the proxy listens on. `affinity` is ClientIP's timeout in seconds, 0 for none."""

    name: str
    address: str
    port: int
    backends: tuple[tuple[str, int], ...] = ()
    affinity: int = 0
    service: tuple[str, str] = field(default=("", ""))


def frontends(services: Iterable[Object], slices: Iterable[Object], *, offset: int = 0) -> list[Frontend]:
    """What the Services ask for: cluster IPs, node ports and load balancer ports on 127.0.0.1, with their ready endpoints."""
    by_service = _by_service(slices)
    return [
        frontend
        for service in services
        for port in service["spec"].get("ports") or []
        if port.get("protocol", "TCP") == "TCP"
        for frontend in _frontends(service, port, by_service.get(_key(service), []), offset)
    ]


def _key(service: Object) -> tuple[str, str]:
    return service["metadata"]["namespace"], service["metadata"]["name"]


def _frontends(service: Object, port: Object, slices: Sequence[Object], offset: int) -> Iterator[Frontend]:
    spec, (namespace, name) = service["spec"], _key(service)
    backends = tuple(dict.fromkeys(_backends(slices, port.get("name", ""), offset)))
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds", 10800)
    places = [
        (address, real_port(address, port["port"], offset))
        for address in spec.get("clusterIPs") or []
        if "." in address
    ]
    if port.get("nodePort"):
        places.append((NODE_ADDRESS, port["nodePort"]))
    if spec.get("type") == "LoadBalancer":
        places.append((NODE_ADDRESS, port["port"] if port["port"] >= 1024 else port["port"] + offset))
    for address, number in places:
        label = f"{namespace}/{name}:{port.get('name') or port['port']}"
        yield Frontend(label, address, number, backends, affinity, service=(namespace, name))


def _backends(slices: Sequence[Object], port_name: str, offset: int) -> Iterator[tuple[str, int]]:
    """Ready endpoints; where none is ready, those that still serve while they terminate."""
    ready = list(_endpoints(slices, port_name, offset, "ready"))
    yield from ready or _endpoints(slices, port_name, offset, "serving")


def ready_endpoints(slices: Sequence[Object], port_name: str) -> Iterator[tuple[str, int]]:
    """Address and port of the ready endpoints of a Service's port, as the API has them."""
    return _endpoints(slices, port_name, 0, "ready")


def _endpoints(slices: Sequence[Object], port_name: str, offset: int, condition: str) -> Iterator[tuple[str, int]]:
    for piece in slices:
        for port in piece.get("ports") or []:
            if (port.get("name") or "") != port_name or port.get("port") is None:
                continue
            for endpoint in piece.get("endpoints") or []:
                conditions = endpoint.get("conditions") or {}
                if conditions.get(condition, condition == "ready") and endpoint["addresses"]:
                    address = endpoint["addresses"][0]
                    yield address, real_port(address, port["port"], offset)
