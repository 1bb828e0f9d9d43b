"""A server of the bench's own: a program like any other, on a state directory that is made for it and removed with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from kubesim.bench.client import Target, target

READY_SECONDS = 60.0


class Own:
    """A running `python -m kubesim serve`: what it has used of the machine so far."""

    def __init__(self, state: Path, process: asyncio.subprocess.Process, started: float) -> None:
        self.state, self.process, self.started = state, process, started

    @property
    def where(self) -> Target:
        return target(self.state / "admin.kubeconfig")

    def cpu(self) -> float:
        """CPU seconds of all its threads, to the nanosecond: what /proc/PID/stat says is rounded to ticks."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory(self) -> float:
        """Resident MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextlib.asynccontextmanager
async def server(state: Path) -> AsyncIterator[Own]:
    """Serves on a free port from the moment it says that it is ready; `started` is the seconds that took."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "kubesim", "serve", "--state", str(state), "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=_environment())
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            line = await process.stdout.readline()
        if b"ready" not in line:
            raise RuntimeError("the server ended before it was ready: what it said is above")
        yield Own(state, process, time.perf_counter() - begin)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


def _environment() -> dict[str, str]:
    """This program's, with the checkout it was started from in front of the path."""
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """For a state directory; short, for sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="kubesim-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
