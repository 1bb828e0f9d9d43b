"""This machine as the lab's nodes reach it."""

from __future__ import annotations

import ipaddress
import socket

from lab.clusters import supply
from lab.errors import LabError
from lab.messages import t


def gateway(network: str) -> str:
    """This machine's IPv4 address on a Docker network. The network is made where it is missing, as kind would with its first cluster."""
    show = ("network", "inspect", network, "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}")
    try:
        found = supply.docker(*show)
    except LabError as error:
        if "not found" not in error.message.lower() and "no such network" not in error.message.lower():
            raise
        masquerade = "com.docker.network.bridge.enable_ip_masquerade=true"
        supply.docker("network", "create", "--driver", "bridge", "-o", masquerade, network)
        found = supply.docker(*show)
    for part in found.split():
        if ipaddress.ip_address(part.partition("/")[0]).version == 4:
            return part.partition("/")[0]
    raise LabError(
        t("Docker's network {network} has no IPv4 gateway", network=network), f"docker network inspect {network}"
    )


def towards(host: str, port: int) -> str:
    """This machine's IPv4 address on the way there; "" where there is no way. Connecting a datagram socket sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def default() -> str:
    """This machine's address on its default route; "" where it has none (k3s needs one, a dummy will do)."""
    return towards("192.0.2.1", 9)
