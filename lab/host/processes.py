"""Background processes of the lab: started in a session of their own, known by a pid file, stopped by signal.

A pid file holds the process id and its start time from /proc, so that a recycled id is never taken for ours (a stale lab directory after a reboot).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.messages import t


@dataclass(frozen=True)
class Daemon:
    """One background process: its name, pid file `run/NAME.pid` and log `logs/NAME.log` under the lab's state folder."""

    name: str
    state: Path

    @property
    def log(self) -> Path:
        return self.state / "logs" / f"{self.name}.log"

    @property
    def pidfile(self) -> Path:
        return self.state / "run" / f"{self.name}.pid"

    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        try:
            pid, born = self.pidfile.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _born(int(pid)) == born else None

    def start(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
        """Start it, output appended to the log. The caller makes sure that it is not running yet."""
        for folder in (self.log.parent, self.pidfile.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=dict(environ or os.environ),
                cwd=self.state,
            )
        _children[process.pid] = process
        self.pidfile.write_text(f"{process.pid} {_born(process.pid)}")
        return process.pid

    def wait(self, ready: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Until `ready()`; raises LabError with the log's last lines where the process ended or the time ran out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.pid() is None:
                raise LabError(
                    t("{name} ended while starting:\n{tail}", name=self.name, tail=self.tail()),
                    t("the whole log: {log}", log=self.log),
                )
            if time.monotonic() > deadline:
                raise LabError(
                    t(
                        "{name} did not answer within {seconds:.0f} s:\n{tail}",
                        name=self.name,
                        seconds=seconds,
                        tail=self.tail(),
                    ),
                    t("the whole log: {log}", log=self.log),
                )
            time.sleep(0.03)

    def stop(self, *, seconds: float = 10.0, sign: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to end, insist after `seconds`; True where it was running."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, sign)
            deadline = time.monotonic() + seconds
            while self.pid() is not None:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    deadline += seconds
                _reap(pid)
                time.sleep(0.02)
        self.pidfile.unlink(missing_ok=True)
        return pid is not None

    def tail(self, lines: int = 8) -> str:
        try:
            text = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return t("(no log)")
        return "\n".join(f"    {line}" for line in text[-lines:]) or t("    (the log is empty)")


def _born(pid: int) -> str | None:
    """Start time in clock ticks since boot; None for a process that has ended (zombies included)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _reap(pid: int) -> None:
    """Collect it if it is our own child (a lab that goes up and down in one program, as tests do)."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]


_children: dict[int, subprocess.Popen[bytes]] = {}
