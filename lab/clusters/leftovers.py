"""What a k3s server leaves when it ends: its containers go on, each below a shim, with their mounts. Only those of one data folder are ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from lab.errors import LabError
from lab.host import shell
from lab.messages import t

MOUNTS = Path("/proc/self/mounts")


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
