"""Writing files so that a reader, or the next start after kill -9, sees the old text or the new text and nothing between."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def private_directory(path: Path) -> Path:
    """Make ``path`` and its parents; the last one is readable by its owner only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` (0600) by ``data`` in one step. A failure leaves the old file and no rubbish beside it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
