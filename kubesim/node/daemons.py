"""Processes of the node's own: shims and the service proxy. They outlive the server, and are ended by the word of their state directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import kubesim
from kubesim.node.wire import SOCKET, RuntimeFailure, connect

_GRACE_SECONDS = 30.0
LOCK = 3


def spawn(module: str, arguments: Sequence[str], *, env: Mapping[str, str], log: Path, lock: int | None = None) -> int:
    """A process of its own session that outlives this one; its pid. It finds the open file `lock` as its descriptor LOCK."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *([] if lock is None else [(os.POSIX_SPAWN_DUP2, lock, LOCK)]),
    ]
    argv = [sys.executable, "-P", "-m", module, *arguments]
    return os.posix_spawn(
        sys.executable,
        argv,
        environment(env),
        file_actions=actions,
        setsid=True,
        setsigdef=[signal.SIGPIPE],
        setsigmask=[],
    )


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` and where such a process finds kubesim."""
    root = str(Path(kubesim.__file__).resolve().parents[1])
    return {**env, "PYTHONPATH": root, "KUBESIM_IMPORT_ROOT": "" if "site-packages" in root else root}


def base_environment() -> dict[str, str]:
    """What every program on the node starts with; nothing of the user's own environment leaks in."""
    path = [
        str(Path(sys.executable).parent),
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    return {"PATH": os.pathsep.join(path), "LANG": "C.UTF-8"}


async def end_all(state: Path) -> None:
    """End every shim, with its containers, then the proxy of a state directory; also without a server."""
    folder = Path(state) / "node"
    await asyncio.gather(*(_end(place, SOCKET) for place in (folder / "shims").glob("*")))
    await _end(folder / "proxy", "proxy.sock")


async def _end(place: Path, name: str) -> None:
    with contextlib.suppress(OSError, RuntimeFailure):
        connection = await connect(place, name)
        await connection.ask({"op": "shutdown", "grace": _GRACE_SECONDS})
        with contextlib.suppress(ConnectionError):
            while True:
                await connection.read()
        connection.close()
