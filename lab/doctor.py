"""`invoke doctor`: what the lab needs of this machine, what was seen, and the cure where it is not enough."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import psutil

from lab import ports
from lab.clusters.base import Finding
from lab.errors import LabError
from lab.world import World

GIB = 1024**3


def diagnose(world: World) -> list[Finding]:
    state = world.settings.state
    findings = [_python(), _memory(), _cores(), _disk(state), _inotify(), _writable(state), _loopback()]
    findings += [*world.provider.diagnose(), *world.aws.diagnose(), *_node_ports(world), *_tools()]
    return findings


def _python() -> Finding:
    seen = f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro} on {sys.platform}"
    return Finding(
        sys.version_info >= (3, 11) and sys.platform.startswith("linux"),
        "Python",
        seen,
        "Python 3.11 or newer on Linux",
    )


def _memory() -> Finding:
    free = psutil.virtual_memory().available / GIB
    return Finding(
        free >= 3,
        "memory",
        f"{free:.1f} GiB available, 3 wanted",
        "" if free >= 3 else "close programs, or ./inv up --tenants 01,20",
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    return Finding(
        cores >= 2,
        "processors",
        f"{cores} available, 2 wanted",
        "" if cores >= 2 else "it works, slowly; start fewer tenants",
    )


def _disk(state: Path) -> Finding:
    folder = next(path for path in (state, *state.parents) if path.exists())
    free = shutil.disk_usage(folder).free / GIB
    return Finding(
        free >= 2,
        "disk",
        f"{free:.1f} GiB free at {folder}, 2 wanted",
        "" if free >= 2 else "free some, or LAB_STATE=/another/disk",
    )


def _inotify() -> Finding:
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    cure = "sudo sysctl fs.inotify.max_user_instances=512"
    return Finding(limit >= 128, "inotify instances", f"{limit}, 128 wanted", "" if limit >= 128 else cure)


def _writable(state: Path) -> Finding:
    folder = next(path for path in (state, *state.parents) if path.exists())
    good = os.access(folder, os.W_OK)
    return Finding(
        good,
        "lab folder",
        f"{state}{'' if good else ' cannot be written'}",
        "" if good else "LAB_STATE=/a/folder/of/yours",
    )


def _loopback() -> Finding:
    """Pods and Services have addresses in 127.0.0.0/8: all of it must be local, as Linux has it by default."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.10.0.1", 0))
    except OSError as error:
        return Finding(
            False,
            "loopback addresses",
            f"127.10.0.1: {error.strerror}",
            "the network namespace has no loopback: ip link set lo up",
        )
    return Finding(True, "loopback addresses", "127.0.0.0/8 is local")


def _node_ports(world: World) -> list[Finding]:
    wanted = world.settings.ports.model_dump()
    names = ("mlflow", "serving", "dashboard", "pipelines")
    if world.provider.running():
        return []
    taken = [f"{name} {wanted[name]}" for name in names if not ports.is_free(wanted[name])]
    cure = "end what listens there, or change ports in lab.yaml"
    return [Finding(not taken, "node ports", f"taken: {', '.join(taken)}" if taken else "free", cure if taken else "")]


def _tools() -> list[Finding]:
    """Not needed, so never a failure; the course types them."""
    wanted = (("kubectl", "the course's commands"), ("aws", "the course's commands"))
    return [
        Finding(True, tool, shutil.which(tool) or f"not on PATH: {why} need it, the lab does not")
        for tool, why in wanted
    ]


def require_good(findings: list[Finding]) -> None:
    bad = [finding for finding in findings if not finding.good]
    if bad:
        raise LabError(f"{len(bad)} of {len(findings)} findings need attention")
