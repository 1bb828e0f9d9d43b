"""How a process of a container comes into the world, and what it says to the shim until its program runs.

A fork of the shim talks to it over a socket pair: an error, the file descriptor on which the kernel asks about its connections (`sentry`), and, by
closing its end, that the program runs. Inside a PID namespace there is one step more: who enters or makes the namespace is not in it, only its
children are. So the fork forks again, names its child and is gone; the child becomes the shim's own, for the shim is the reaper of its orphans.
The child waits for the shim's word before it goes on, because only then is its parent the one whose death it must share.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from kubesim.node import sentry

_BORN, _GO, _ASKED_ON, _FAILED = b"B", b"G", b"A", b"F"


class Line:
    """The child's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def relay(self) -> None:
        """Go on as a child of this process, which ends; returns in the child, once the shim is its parent."""
        if child := os.fork():
            self._socket.send(_BORN + str(child).encode())
            os._exit(0)
        if self._socket.recv(16) != _GO:
            os._exit(137)

    def guard(self) -> None:
        """Have the shim asked about this process's connections from now on, where the kernel can do that."""
        with contextlib.suppress(OSError):
            listener = sentry.install()
            socket.send_fds(self._socket, [_ASKED_ON], [listener])
            os.close(listener)

    def fail(self, message: str) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(_FAILED + message.encode()[:4000])

    @property
    def shim_lives(self) -> bool:
        poll = select.poll()
        poll.register(self._socket, 0)
        return not poll.poll(0)


@dataclass(frozen=True)
class Word:
    """What a child said: that its program runs (`done`), why it does not (`failed`), or where questions come from (`listener`)."""

    done: bool = False
    failed: str = ""
    listener: int = -1


class StillBorn(OSError):
    """The fork failed before it had a process in the namespace."""


def fork(child: Callable[[Line], NoReturn], *, relayed: bool) -> tuple[int, socket.socket]:
    """A process that runs `child`: its pid, and the shim's end of the line. `relayed`: the child calls `Line.relay`. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if not pid:
        ours.close()
        _live(child, Line(theirs))
    theirs.close()
    return (_relayed(pid, ours) if relayed else pid), ours


def _live(child: Callable[[Line], NoReturn], line: Line) -> NoReturn:
    """Whatever happens, this process never returns into the shim's loop, of which it is a copy."""
    try:
        child(line)
    except BaseException as error:  # noqa: BLE001  told to whoever asked for the process
        line.fail(f"{type(error).__name__}: {error}")
    finally:
        os._exit(126)


def _relayed(pid: int, ours: socket.socket) -> int:
    word = b""
    with contextlib.suppress(ConnectionResetError):
        word = ours.recv(4096)
    os.waitpid(pid, 0)
    if not word.startswith(_BORN):
        ours.close()
        raise StillBorn(word[1:].decode(errors="replace") or "the container's process was killed before it was born")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        ours.send(_GO)
    return int(word[1:])


def hear(ours: socket.socket) -> Word:
    """The next word of a child; call it when the socket can be read."""
    try:
        data, handles, _, _ = socket.recv_fds(ours, 4096, 1)
    except ConnectionResetError:  # killed with the container before it read what it was told
        return Word(done=True, failed="the process was killed before its program ran")
    if data == _ASKED_ON and handles:
        os.set_inheritable(handles[0], False)
        return Word(listener=handles[0])
    return Word(done=True, failed=data[1:].decode(errors="replace") if data.startswith(_FAILED) else "")
