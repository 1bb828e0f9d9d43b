"""One stand-in per state directory: a lock the kernel drops with its process, however that ends."""

import fcntl
import os
from pathlib import Path

from awssim.errors import StateInUse


def hold(directory: Path) -> int:
    """Lock ``directory`` for this process's life and return the descriptor; refuse where another one holds it."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StateInUse(f"{directory} is in use by another stand-in (process {owner}); stop that one first") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor
