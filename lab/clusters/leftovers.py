"""What nobody stopped: a server whose `up` was killed before it was noted, and what a k3s server leaves when it ends.

The containers of k3s go on, each below a shim, with their mounts. Only what belongs to one folder is ever ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil

from lab.errors import LabError
from lab.host import shell
from lab.messages import t

MOUNTS = Path("/proc/self/mounts")
PATIENCE = 10.0
"""Seconds that a server has to end by itself."""


def end_servers(program: str, state: Path) -> bool:
    """Ends `python -m PROGRAM serve ... --state STATE`, whether a pid file knows of it or not; True where there was one."""
    found = servers(program, state)
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                ask(process)
        if not psutil.wait_procs(found, timeout=PATIENCE)[1]:
            break
    return bool(found)


def servers(program: str, state: Path) -> list[psutil.Process]:
    """Those of this state folder; another folder's, and another user's, are not ours to end."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if _serves(process.info["cmdline"] or [], program, str(state))
    ]


def _serves(command: Sequence[str], program: str, state: str) -> bool:
    pairs = set(pairwise(command))
    return {("-m", program), (program, "serve"), ("--state", state)} <= pairs


def end(data: Path) -> bool:
    """Ends shims that run from `data` with all below them, and unmounts what lies in `data`; True where there was something."""
    found = shims(data)
    trees = [child for shim in found for child in (*shim.children(recursive=True), shim)]
    for process in trees:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    psutil.wait_procs(trees, timeout=10)
    for mount in mounts(data):
        try:
            shell.run(["umount", "--lazy", mount])
        except LabError as error:
            raise LabError(
                t("cannot unmount {mount}: {why}", mount=mount, why=error.message), f"sudo umount {mount}"
            ) from None
    return bool(found)


def shims(data: Path) -> list[psutil.Process]:
    """containerd's shims whose program lies below `data`, where k3s unpacks its own."""
    return [
        process
        for process in psutil.process_iter(["exe", "name"])
        if str(process.info["name"]).startswith("containerd-shim") and _below(process.info["exe"], data)
    ]


def mounts(data: Path, table: Path = MOUNTS) -> list[str]:
    """Mount points below `data`, the innermost first."""
    points = [line.split()[1].replace("\\040", " ") for line in table.read_text().splitlines()]
    return sorted((point for point in points if _below(point, data)), key=len, reverse=True)


def _below(path: str | None, folder: Path) -> bool:
    return path is not None and folder in Path(path).parents
