"""Processes of the machine as /proc shows them: which belong to a container, and which is which for good."""

# os.* on purpose: this runs in a tight loop, in every shim.
# ruff: noqa: PTH115, PTH208
from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def members(pid: int, *, container: str = "", namespace: str = "") -> list[int]:
    """The processes of the container whose first process is or was `pid`: its descendants, its session, and those that left both but carry
    the container's id in their environment or share its private mounts."""
    table = _processes()
    tree = {pid}
    grown = True
    while grown:
        found = {other for other, (parent, session) in table.items() if parent in tree or session in tree} - tree
        tree |= found
        grown = bool(found)
    for other, (parent, _) in table.items():
        if parent in (1, os.getpid()) and other not in tree and _belongs(other, container, namespace):
            tree |= {other, *members(other)}
    return sorted(tree & table.keys())


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and session of every process."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


def _belongs(pid: int, container: str, namespace: str) -> bool:
    if namespace and mounts_of(pid) == namespace:
        return True
    try:
        return bool(container) and f"KUBESIM_CONTAINER={container}".encode() in Path(
            f"/proc/{pid}/environ"
        ).read_bytes().split(b"\0")
    except OSError:
        return False


def mounts_of(pid: int) -> str:
    """The name of a process's mount namespace; "" if it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """When a process began, in clock ticks since boot: with the pid it names a process for good. 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def handles(pid: int, number: int) -> bool:
    """Whether a process has said what it does on a signal (a handler, or to ignore it). True where it is gone."""
    wanted = 1 << (number - 1)
    try:
        lines = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        return any(int(lines[name], 16) & wanted for name in ("SigCgt", "SigIgn"))
    except (OSError, KeyError, ValueError):
        return True


HARMLESS = frozenset(
    {
        signal.SIGCHLD,
        signal.SIGURG,
        signal.SIGWINCH,
        signal.SIGCONT,
        signal.SIGSTOP,
        signal.SIGTSTP,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
)
"""Signals that do not end a process which says nothing about them."""
