"""The address of the `kubernetes` Service: chosen once per cluster, so that several clusters on one machine do not meet on it.

Every Service address is a real one on the loopback interface, which all clusters of a machine share. Other Services' addresses are drawn at
random from a /16 and seldom meet; this one would always be the first, and a pod would find another cluster's API behind it.
"""

from __future__ import annotations

import socket
import zlib
from pathlib import Path

_BLOCKS = 254


def service_ip(state: Path) -> str:
    """The address kept in `state`, or a free one, which is then kept there."""
    kept = state / "service-ip"
    try:
        return kept.read_text().strip()
    except FileNotFoundError:
        address = _choose(zlib.crc32(str(state.resolve()).encode()))
        kept.write_text(f"{address}\n")
        return address


def _choose(seed: int) -> str:
    candidates = [f"127.11.{1 + (seed + step) % _BLOCKS}.1" for step in range(_BLOCKS)]
    return next((address for address in candidates if not _answers(address)), candidates[0])


def _answers(address: str) -> bool:
    """Whether another cluster's proxy listens there, on port 443 or on the one that stands for it where ports under 1024 are root's."""
    for port in (443, 20443):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex((address, port)) == 0:
                return True
    return False
