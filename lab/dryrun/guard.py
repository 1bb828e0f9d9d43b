"""The last line of a dry run: Python's own audit events tell of every file opened for writing and every process started or signalled.

Nothing should come this far: what a task does is noted by the parts above, which answer it. What does come is noted, not done, and ends the
task, so a dry run is safe with code that does not know of it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.dryrun.record import Record

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.rename",
    "os.chmod",
    "os.link",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
}
_READERS = {"git"}
"""Programs that the lab runs to look and never to change."""

_protected: tuple[str, Record] | None = None
_installed = False
_allowed = threading.local()


def protect(state: Path, record: Record) -> None:
    """From now on, and until `release`: nothing below `state` is written and no process is started or ended."""
    global _protected, _installed
    if not _installed:
        sys.addaudithook(_audit)
        _installed = True
    _protected = (str(state.absolute()), record)


def release() -> None:
    global _protected
    _protected = None


@contextmanager
def looking() -> Iterator[None]:
    """Programs may be run here: a provider or a credential plug-in looks at something."""
    before = getattr(_allowed, "looking", False)
    _allowed.looking = True
    try:
        yield
    finally:
        _allowed.looking = before


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _protected is None:
        return
    state, record = _protected
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITING and _inside(path, state):
            record.end("write", os.fsdecode(path))
    elif event in _CHANGING:
        for path in arguments:
            if _inside(path, state):
                record.end("write", os.fsdecode(path))
    elif event == "subprocess.Popen" and not getattr(_allowed, "looking", False):
        program, command = arguments[0], arguments[1]
        if Path(os.fsdecode(program or command[0])).name not in _READERS:
            record.end("start", " ".join(os.fsdecode(word) for word in command))
    elif event == "os.kill" and arguments[1] != 0:
        record.end("stop", f"process {arguments[0]}")


def _inside(path: object, state: str) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    return Path(os.fsdecode(path)).absolute().is_relative_to(state)
