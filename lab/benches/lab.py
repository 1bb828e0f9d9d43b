"""`invoke bench lab`: the figures the README and the notes give, measured here and now on a lab of its own, side by side in one run.

Each row is one command as a user types it, wall time from start to prompt, and the processor time that the whole machine spent meanwhile: it
varies less than the wall time where somebody else works on the machine too, and on two cores it cannot be more than twice the wall time. Memory is
the proportional set size (PSS) of every process of the lab.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from lab.benches.rows import Row
from lab.errors import LabError
from lab.messages import t
from lab.settings import ROOT
from lab.world import World


def lab(world: World) -> list[Row]:
    """A lab from nothing to purged, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mlops-lab-bench-") as folder:
        state = Path(folder) / "lab"
        environ = {**os.environ, "LAB_STATE": str(state)}

        def inv(name: str, *arguments: str, aim: str = "") -> Row:
            before = busy()
            seconds = timed([str(ROOT / "inv"), *arguments], environ)
            return Row(name, seconds, "s", aim, busy() - before)

        def held(name: str) -> Row:
            return Row(name, memory(state), "GB", "<= 2.5")

        trees = ("train", "--n-estimators", "200")
        try:
            rows = [
                inv(t("up, from nothing, {count} tenants", count=len(world.settings.people)), "up", aim="<= 20"),
                inv(t("up again, nothing to do"), "up", aim="<= 2"),
                held(t("memory of the whole lab (PSS)")),
                inv(t("train --n-estimators 200, first"), *trees),
                inv(t("train --n-estimators 200, again"), *trees, aim="<= 6"),
                inv("predict", "predict", "--features", "5.1,3.5,1.4,0.2"),
                inv(t("verify, all tenants"), "verify", aim="<= 5"),
                held(t("memory after training (PSS)")),
                inv("down", "down"),
                inv(t("up, after down"), "up", aim="<= 12"),
            ]
        finally:
            timed([str(ROOT / "inv"), "down", "--purge"], environ)
    return rows


def busy() -> float:
    """Seconds of processor time that this machine has spent so far, waiting not counted."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def timed(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Seconds a command took; raises LabError with its output where it failed."""
    print(f"  {' '.join(command[1:])} ...", flush=True)
    started = time.monotonic()
    done = subprocess.run(list(command), env=dict(environ), capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        said = done.stdout + done.stderr
        raise LabError(
            t("{command} ended with {code}:\n{said}", command=" ".join(command), code=done.returncode, said=said)
        )
    return seconds


def memory(state: Path) -> float:
    """PSS in GB of every process of the lab in `state`: those that name the folder in their command line, and their descendants."""
    return sum(_pss(process) for process in processes(state)) / 1e9


def processes(state: Path) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if str(state) in " ".join(process.cmdline()) and process.pid != os.getpid():
                found |= {one.pid: one for one in (process, *process.children(recursive=True))}
        except psutil.Error:
            continue
    return list(found.values())


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
