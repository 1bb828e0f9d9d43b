"""A server of the bench's own: a program like any other, on a state directory that is made for it and removed with it."""

from __future__ import annotations

import asyncio
import compileall
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from kubesim.bench.client import Client, Target, target
from kubesim.bench.measure import Row

READY_SECONDS = 60.0


class Own:
    """A running `python -m kubesim serve`: what it has used of the machine so far."""

    def __init__(self, state: Path, process: asyncio.subprocess.Process) -> None:
        self.state, self.process = state, process
        self._started = self._cost = 0.0

    async def ready(self, begin: float) -> None:
        """Waits until it says so and /readyz does; `begin` is when it was started."""
        assert self.process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            line = await self.process.stdout.readline()
            if b"ready" not in line:
                raise RuntimeError("the server ended before it was ready: what it said is above")
            client = await Client.connect(self.where)
            await client.ask("GET", "/readyz")
        self._started, self._cost = time.perf_counter() - begin, self.cpu()
        client.close()

    def start(self, name: str) -> Row:
        return Row(name, f"{self._started:.2f} s", self._cost * 1e6)

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
    """Serves on a free port, and is ready."""
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)
    begin = time.perf_counter()
    command = [sys.executable, "-m", "kubesim", "serve", "--state", str(state), "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=_environment())
    own = Own(state, process)
    try:
        await own.ready(begin)
        yield own
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
