"""The pod's network for programs of every language: the kernel asks the shim before a process of a container connects or binds a socket.

`install` puts a seccomp filter on the container's first process (seccomp's user notification: no root needed, Linux 5.5 or newer) that its children
inherit and cannot take off. For each connect and bind the kernel then stops the caller and asks the shim, whose `Sentry`

- refuses what NetworkPolicies do not allow: connect fails with ETIMEDOUT, as it does on a cluster, only at once;
- lets nobody bind the address of another pod, nor reach another pod's loopback;
- moves 0.0.0.0 and 127.0.0.1 to the pod's own addresses and low ports where they really are, and has connections leave from the pod's address:
  what `kubesim_guest` does inside Python programs, which then have nothing left to be moved.

The decision is made from the container that asks, not from the address it claims. A program with threads that changes the address while it is
looked at can still cheat, and 32-bit programs are not asked: this keeps tenants apart who make mistakes, not those who attack. One question costs
about 60 microseconds of the shim's time. Where the kernel has no such filter programs go without, and only the service proxy asks `Rules`.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH123
from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

from kubesim.node.guest.kubesim_guest import Guest
from kubesim.node.rules import Rules

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS = 38
_FILTER_MODE, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32
_SYS_PIDFD_GETFD, _SYS_IO_URING_SETUP, _X32 = 438, 425, 0x40000000
_RECEIVE, _SEND, _VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_IP_BIND_ADDRESS_NO_PORT = 24
_UNBOUND = "0.0.0.0"


@dataclass(frozen=True)
class _Machine:
    """Numbers of one processor architecture."""

    audit: int
    seccomp: int
    connect: int
    bind: int


_MACHINE = {
    "x86_64": _Machine(0xC000003E, 317, 42, 49),
    "aarch64": _Machine(0xC00000B7, 277, 203, 200),
}.get(os.uname().machine)


def install() -> int:
    """From now on this process and its children are asked about; the file descriptor on which. Raises OSError where the kernel cannot."""
    if _MACHINE is None:
        raise OSError(errno.ENOSYS, "seccomp: unknown architecture")
    code = _program(_MACHINE)
    steps = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(steps))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        listener = int(_libc.syscall(_MACHINE.seccomp, _FILTER_MODE, flags, program))
        if listener >= 0:
            return listener
    raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


@cache
def available() -> bool:
    """Whether this kernel asks; tried once, in a process of its own: a filter is for good."""
    command = [sys.executable, "-m", __name__]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def _program(machine: _Machine) -> bytes:
    """Ask about connect and bind; no io_uring, which connects without a system call; all else goes on at once."""
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, ask, missing = 0x7FFF0000, 0x7FC00000, 0x00050000 | errno.ENOSYS
    steps = [
        (load, 0, 0, 4),
        (equal, 0, 5, machine.audit),
        (load, 0, 0, 0),
        (at_least, 5, 0, _X32),
        (equal, 4, 0, _SYS_IO_URING_SETUP),
        (equal, 2, 0, machine.connect),
        (equal, 1, 0, machine.bind),
        (answer, 0, 0, allow),
        (answer, 0, 0, ask),
        (answer, 0, 0, missing),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


@dataclass(frozen=True)
class Question:
    """A system call that waits for an answer."""

    id: int
    pid: int
    number: int
    handle: int
    pointer: int
    length: int


class Sentry:
    """Answers for all containers of one shim. `rules` may be replaced at any time; open connections live on."""

    def __init__(self) -> None:
        self.rules = Rules()

    def answer(self, listener: int, pod: Guest) -> bool:
        """One question of the pod's container; False where nobody is left to ask any. Does not block."""
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        events = poll.poll(0)
        if not events or not events[0][1] & select.POLLIN:
            return not events
        body = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, body)
        except OSError:
            return True  # the caller was killed meanwhile
        id, pid, _, number = struct.unpack_from("QIIi", body)
        handle, pointer, length = struct.unpack_from("3Q", body, 32)
        error = self._decide(listener, Question(id, pid, number, handle, pointer, length), pod)
        with contextlib.suppress(OSError):
            fcntl.ioctl(listener, _SEND, struct.pack("QqiI", id, 0, -error, 0 if error else _CONTINUE))
        return True

    def _decide(self, listener: int, question: Question, pod: Guest) -> int:
        """An error number, or 0: the call goes on, with the address that was put in its place."""
        try:
            with open(f"/proc/{question.pid}/mem", "r+b", buffering=0) as memory:
                fcntl.ioctl(listener, _VALID, struct.pack("Q", question.id))
                place = Place.read(memory.fileno(), question)
                if place is None:
                    return 0
                assert _MACHINE is not None
                if question.number == _MACHINE.bind:
                    return self._bind(memory.fileno(), question, place, pod)
                return self._connect(memory.fileno(), question, place, pod)
        except OSError:
            return 0  # the process is gone, or may not be looked at: it goes on as it is

    def _connect(self, memory: int, question: Question, place: Place, pod: Guest) -> int:
        host = pod.connect_host(place.host, place.port)
        port = pod.port(host, place.port)
        if not self.rules.reach(pod.address, host, port):
            return errno.ETIMEDOUT
        if (host, port) != (place.host, place.port):
            place.write(memory, host, port)
        if host.startswith("127.") and place.family == socket.AF_INET:
            _leave_from(question, pod.address)
        return 0

    def _bind(self, memory: int, question: Question, place: Place, pod: Guest) -> int:
        if place.host.startswith(("127.10.", "127.12.")):
            return 0 if place.host in (pod.address, pod.loopback) else errno.EADDRNOTAVAIL
        if place.port == 0 or place.family != socket.AF_INET or not _is_stream(question):
            return 0  # what is bound before it connects, and IPv6, is left alone
        host = pod.bind_host(place.host)
        port = pod.port(host, place.port)
        if (host, port) != (place.host, place.port):
            place.write(memory, host, port)
        return 0


@dataclass(frozen=True)
class Place:
    """A socket address in the memory of a process; an IPv4 address inside an IPv6 one counts as what it is."""

    family: int
    host: str
    port: int
    pointer: int

    @staticmethod
    def read(memory: int, question: Question) -> Place | None:
        raw = os.pread(memory, min(question.length, 28), question.pointer)
        if len(raw) < 16:
            return None
        (family,), (port,) = struct.unpack_from("H", raw), struct.unpack_from("!H", raw, 2)
        if family == socket.AF_INET:
            return Place(family, socket.inet_ntoa(raw[4:8]), port, question.pointer + 4)
        if family == socket.AF_INET6 and len(raw) >= 24 and raw[8:20] == b"\0" * 10 + b"\xff\xff":
            return Place(family, socket.inet_ntoa(raw[20:24]), port, question.pointer + 20)
        return None

    def write(self, memory: int, host: str, port: int) -> None:
        """Put another address in its place; the kernel reads it when the call goes on."""
        start = self.pointer - (4 if self.family == socket.AF_INET else 20)
        os.pwrite(memory, struct.pack("!H", port), start + 2)
        os.pwrite(memory, socket.inet_aton(host), self.pointer)


def _socket(question: Question) -> socket.socket:
    """The caller's own socket, as a second handle. Raises OSError."""
    process = os.pidfd_open(question.pid)
    try:
        handle = int(_libc.syscall(_SYS_PIDFD_GETFD, process, question.handle, 0))
        if handle < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        return socket.socket(fileno=handle)
    finally:
        os.close(process)


def _is_stream(question: Question) -> bool:
    with _socket(question) as sock:
        return sock.type == socket.SOCK_STREAM


def _leave_from(question: Question, address: str) -> None:
    """Bind a socket that has no address yet to the pod's; its port is chosen when it connects."""
    with contextlib.suppress(OSError), _socket(question) as sock:
        if sock.getsockname()[0] == _UNBOUND:
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((address, 0))


if __name__ == "__main__":
    install()
