"""One server per state directory: a lock that the kernel holds as long as the server lives, whatever ends it.

The file names who holds it, so that the refused one can say so and `kubesim stop` knows whom to ask.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class Locked(Exception):
    """Another server runs on this state directory."""


@contextlib.contextmanager
def held(state: Path) -> Iterator[None]:
    """Held for the block. Raises Locked."""
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(descriptor, 32).decode() or "unknown"
            raise Locked(
                f"{state} is in use by another kubesim (pid {other}): stop it first, or use another --state"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(state: Path) -> int | None:
    """The pid of the server that runs on a state directory; None where none does."""
    try:
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None
