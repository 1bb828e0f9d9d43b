"""A shim that is forked from a fork server in place of being started (LABEL kubesim.preload-from): what the images of both import is imported
once, and is in memory once. It is no container of the other's: it has a session, a lock, a log and an environment of its own, and outlives it."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn


def live(serve: Callable[[], None], *, env: Mapping[str, str], lock: int, log: Path) -> NoReturn:
    """In the fork: be a shim of its own, which `serve` is the life of. Nothing of the other's is open any more."""
    code = 1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
        os.closerange(3, lock)
        os.closerange(lock + 1, 65536)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(env)
        serve()
        code = 0
    except BaseException:  # noqa: BLE001  whatever happens, this process never returns into the loop of which it is a copy
        traceback.print_exc()
    finally:
        os._exit(code)
