"""What containers use: CPU time and memory of whole process trees, from /proc, sampled every few seconds.

Memory is the proportional share (PSS): what forks share with their fork server counts once, split among them, as near as a process can come
to what a cgroup would charge. Reading it walks page tables, so the cheaper resident size decides whether a limit needs a closer look.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH208
from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """At `time` (s, monotonic) a container had used `cpu` seconds and held `resident` bytes; `memory` is its proportional share."""

    time: float
    cpu: float
    resident: int
    memory: int


@dataclass(frozen=True)
class _Process:
    parent: int
    session: int
    cpu: float
    resident: int


def _read(path: str) -> bytes:
    """A short file of /proc in three system calls: every process of the machine is looked at, every two seconds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def processes() -> dict[int, _Process]:
    """Every process of the machine that this user may see."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()
                cpu = sum(map(int, fields[11:15])) / _TICKS
                table[int(name)] = _Process(int(fields[1]), int(fields[3]), cpu, int(fields[21]) * _PAGE)
    return table


def trees(table: Mapping[int, _Process], roots: Mapping[str, int]) -> dict[str, list[int]]:
    """The processes of each container: descendants of its first process, and its session."""
    children: dict[int, list[int]] = {}
    sessions: dict[int, list[int]] = {}
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
        sessions.setdefault(process.session, []).append(pid)
    return {name: _tree(root, children, sessions) for name, root in roots.items() if root in table}


def _tree(root: int, children: Mapping[int, list[int]], sessions: Mapping[int, list[int]]) -> list[int]:
    found: set[int] = set()
    waiting = [root, *sessions.get(root, [])]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return sorted(found)


def proportional(pid: int) -> int:
    """A process's proportional share of memory, in bytes; 0 where it is gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True)
class _Exact:
    """A proportional share that was read at `time`, when the resident size was `resident`."""

    time: float
    resident: int
    memory: int


class Meter:
    """Follows containers (by id) from sample to sample. Not for two threads at once.

    The share is read again only where the resident size has moved or a minute has passed, and never twice in ten seconds unless a limit is in
    question: reading it costs milliseconds per process, and one that starts moves all the time.
    """

    def __init__(self, *, window: float = 4.0, refresh: float = 60.0, settle: float = 10.0) -> None:
        self.window, self.refresh, self.settle = window, refresh, settle
        self.pairs: dict[str, tuple[Sample, Sample]] = {}
        self._exact: dict[str, _Exact] = {}

    def sample(self, roots: Mapping[str, int], limits: Mapping[str, int], now: float) -> list[str]:
        """One look at every container, given its first process; those that hold more than their limit (bytes)."""
        table = processes()
        over = []
        for name, pids in trees(table, roots).items():
            known = [pid for pid in pids if pid in table]
            resident = sum(table[pid].resident for pid in known)
            memory = self._memory(name, known, resident, now, limit=limits.get(name, 0))
            self._keep(name, Sample(now, sum(table[pid].cpu for pid in known), resident, memory))
            if name in limits and memory > limits[name]:
                over.append(name)
        for gone in self.pairs.keys() - roots.keys():
            self.pairs.pop(gone)
            self._exact.pop(gone, None)
        return over

    def _memory(self, name: str, pids: list[int], resident: int, now: float, *, limit: int) -> int:
        exact = self._exact.get(name)
        if exact is None or (now > exact.time and self._due(exact, resident, now, limit)):
            exact = self._exact[name] = _Exact(now, resident, sum(map(proportional, pids)))
        return exact.memory

    def _due(self, exact: _Exact, resident: int, now: float, limit: int) -> bool:
        if limit and resident > limit:
            return True
        moved = abs(resident - exact.resident) > max(4 << 20, exact.resident // 20)
        return now - exact.time > (self.settle if moved else self.refresh)

    def _keep(self, name: str, fresh: Sample) -> None:
        before, last = self.pairs.get(name, (None, None))
        if before is None or last is None:
            self.pairs[name] = (Sample(fresh.time, fresh.cpu, 0, 0), fresh)
        elif fresh.time - before.time >= 2 * self.window:
            self.pairs[name] = (last, fresh)
        else:
            self.pairs[name] = (before, fresh)

    def rates(self) -> dict[str, tuple[float, int]]:
        """CPUs and bytes of every container that was seen twice."""
        return {
            name: (rate(before, after), after.memory)
            for name, (before, after) in self.pairs.items()
            if before.time < after.time
        }


def rate(before: Sample, after: Sample) -> float:
    """CPUs used between two samples."""
    return max(after.cpu - before.cpu, 0.0) / max(after.time - before.time, 1e-3)
