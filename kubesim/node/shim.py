"""The parent of containers: `python -m kubesim.node.shim FOLDER [--source FOLDER --preload MODULE ...]`.

One process, one thread, no event loop that could get in the way of fork. It outlives the API server: the node connects to FOLDER/shim.sock,
sends one line of JSON per request and reads one line per answer. With --preload it imports those modules before the first fork and is a
*fork server*: Python programs start as copies of it, their modules' memory shared.

Guarantees: an exit is written to the container's folder (exit.json) after its last log line and before anyone is told, so nothing is lost
while the server is away; when a container's first process ends, the rest of its processes are killed, as a PID namespace would; when the
shim is killed, the kernel kills its containers (PR_SET_PDEATHSIG); one shim per folder (a lock), and a shim whose folder is removed ends.

Requests: start {launch}, signal {id, signal, all}, exec {id, argv, tty} with the standard streams as file descriptors, attach {id} with file
descriptors, resize {id, rows, columns}, list, watch (an answer per exit), shutdown.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH115, PTH208
from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import fcntl
import gc
import importlib
import json
import os
import pty
import selectors
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubesim.node import child, logs
from kubesim.node.launch import Launch

_PR_SET_CHILD_SUBREAPER = 36
_MAX_REQUEST = 8 * 1024 * 1024
_WATCH_FOLDER_SECONDS = 5.0
_ENDING_SECONDS = 0.1


@dataclass
class Container:
    """A container of this shim. `exit` is None while its first process lives."""

    launch: Launch
    pid: int
    started_at: str
    ticks: int
    log: logs.Writer
    outputs: dict[int, str] = field(default_factory=dict)
    input: int = -1
    terminal: int = -1
    attached: list[int] = field(default_factory=list)
    namespace: str = ""
    exit: dict[str, Any] | None = None

    def summary(self) -> dict[str, Any]:
        return {
            "id": self.launch.id,
            "pid": self.pid,
            "ticks": self.ticks,
            "startedAt": self.started_at,
            "labels": dict(self.launch.labels),
            "exit": self.exit,
        }


class Peer:
    """One connection: requests in, answers out, never blocking the shim."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.unsent = b""
        self.handles: list[int] = []
        self.watching = False
        self.process = 0


class Shim:
    """The loop. Handlers are called by readiness of a file descriptor; nothing in it waits."""

    def __init__(self, folder: Path, *, warm: bool) -> None:
        self.folder, self.warm = folder, warm
        self.selector = selectors.DefaultSelector()
        self.containers: dict[str, Container] = {}
        self.peers: set[Peer] = set()
        self.execs: dict[int, Peer] = {}
        self._errors: dict[int, int] = {}
        self.ending = False
        self.deadline = 0.0

    def serve(self) -> None:
        listener = self._listen()
        self._on(listener, lambda: self._accept(listener))
        wake, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._shutdown())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._on(wake, lambda: self._reap(wake))
        while not (self.ending and not self._alive()):
            for key, _ in self.selector.select(_ENDING_SECONDS if self.ending else _WATCH_FOLDER_SECONDS):
                if key.fileobj in self.selector.get_map():
                    key.data()
            if not (self.folder / "shim.sock").exists() or (self.ending and time.monotonic() > self.deadline):
                self._shutdown()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        (self.folder / "shim.sock").unlink(missing_ok=True)
        handle = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{handle}/shim.sock")
        os.close(handle)
        (self.folder / "shim.sock").chmod(0o600)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def _on(self, source: Any, handler: Callable[[], None], *, events: int = selectors.EVENT_READ) -> None:
        self.selector.register(source, events, handler)

    def _off(self, source: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(source)

    # Connections

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        peer = Peer(connection)
        self.peers.add(peer)
        self._on(connection, lambda: self._receive(peer))

    def _receive(self, peer: Peer) -> None:
        try:
            data, handles, _, _ = socket.recv_fds(peer.socket, 1 << 16, 8)
        except BlockingIOError:
            return
        except OSError:
            data, handles = b"", []
        for handle in handles:
            os.set_inheritable(handle, False)
        peer.handles += handles
        peer.received += data
        if not data or len(peer.received) > _MAX_REQUEST:
            self._hang_up(peer)
            return
        *lines, peer.received = peer.received.split(b"\n")
        for line in lines:
            self._request(peer, line)

    def _hang_up(self, peer: Peer) -> None:
        self._off(peer.socket)
        peer.socket.close()
        self.peers.discard(peer)
        for handle in peer.handles:
            os.close(handle)
        peer.handles = []

    def _answer(self, peer: Peer, body: dict[str, Any]) -> None:
        if peer not in self.peers:
            return
        peer.unsent += json.dumps(body).encode() + b"\n"
        self._flush(peer)

    def _flush(self, peer: Peer) -> None:
        try:
            while peer.unsent:
                peer.unsent = peer.unsent[peer.socket.send(peer.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up(peer)
            return
        self.selector.modify(
            peer.socket,
            selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0),
            lambda: self._serve_peer(peer),
        )

    def _serve_peer(self, peer: Peer) -> None:
        if peer.unsent:
            self._flush(peer)
        if peer in self.peers:
            self._receive(peer)

    def _request(self, peer: Peer, line: bytes) -> None:
        try:
            body = json.loads(line)
            handler = getattr(self, f"_do_{body['op']}")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            self._answer(peer, {"error": f"bad request: {error}"})
            return
        try:
            handler(peer, body)
        except (OSError, LookupError) as error:
            self._answer(peer, {"error": str(error)})

    # Requests

    def _do_start(self, peer: Peer, body: dict[str, Any]) -> None:
        launch = Launch.from_json(body["launch"])
        if self.ending or launch.id in self.containers:
            self._answer(peer, {"error": "the shim is ending" if self.ending else "started already"})
            return
        Path(launch.folder, "root").mkdir(parents=True, exist_ok=True)
        stdio, container = self._streams(launch)
        report, write = os.pipe()
        pid = os.fork()
        if not pid:
            child.main_container(launch, stdio=stdio, report=write, warm=self.warm)
        for handle in {write, *stdio}:
            os.close(handle)
        container.pid, container.ticks = pid, start_ticks(pid)
        self.containers[launch.id] = container
        _write(launch.folder, "state.json", container.summary())
        self._on(report, lambda: self._started(report, peer, container))

    def _started(self, report: int, peer: Peer, container: Container) -> None:
        if container.launch.private_root:
            container.namespace = _namespace(container.pid)
        self._reported(
            report, peer, {"pid": container.pid, "ticks": container.ticks, "startedAt": container.started_at}
        )

    def _reported(self, report: int, peer: Peer, ok: dict[str, Any]) -> None:
        text = os.read(report, 4096)
        self._off(report)
        os.close(report)
        self._answer(peer, {"failed": text.decode(errors="replace")} if text else ok)

    def _streams(self, launch: Launch) -> tuple[list[int], Container]:
        container = Container(launch=launch, pid=0, started_at=logs.now(), ticks=0, log=logs.Writer(launch.log))
        if launch.tty:
            master, slave = pty.openpty()
            container.terminal = container.input = master
            self._output(container, master, "stdout")
            return [slave, slave, slave], container
        stdio = []
        if launch.stdin:
            read, container.input = os.pipe()
            stdio.append(read)
        else:
            stdio.append(os.open(os.devnull, os.O_RDONLY))
        for name in ("stdout", "stderr"):
            read, write = os.pipe()
            self._output(container, read, name)
            stdio.append(write)
        return stdio, container

    def _output(self, container: Container, handle: int, stream: str) -> None:
        os.set_blocking(handle, False)
        container.outputs[handle] = stream
        self._on(handle, lambda: self._pump(container, handle, stream))

    def _pump(self, container: Container, handle: int, stream: str, *, until_empty: bool = False) -> None:
        while True:
            try:
                data = os.read(handle, 1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._off(handle)
                if container.outputs.pop(handle, None) and handle != container.terminal:
                    os.close(handle)
                return
            container.log.write(stream, data.replace(b"\r\n", b"\n") if handle == container.terminal else data)
            self._tee(container, data, stream)
            if not until_empty:
                return

    def _tee(self, container: Container, data: bytes, stream: str) -> None:
        for pair in list(container.attached):
            out = pair if stream == "stdout" else self._errors.get(pair, pair)
            try:
                os.write(out, data)
            except BlockingIOError:
                pass  # a reader of an attach that does not read loses output, the log keeps it
            except OSError:
                container.attached.remove(pair)

    def _do_signal(self, peer: Peer, body: dict[str, Any]) -> None:
        container = self.containers[body["id"]]
        if container.exit is None:
            if body.get("all"):
                self._kill_tree(container)
            with contextlib.suppress(ProcessLookupError):
                os.kill(container.pid, body["signal"])
        self._answer(peer, {})

    def _do_exec(self, peer: Peer, body: dict[str, Any]) -> None:
        container = self.containers[body["id"]]
        if container.exit is not None:
            raise LookupError("container is not running")
        tty, handles, peer.handles = bool(body.get("tty")), peer.handles, []
        stdio = handles * 3 if tty else handles
        report, write = os.pipe()
        pid = os.fork()
        if not pid:
            child.main_exec(
                container.pid,
                container.launch,
                body["argv"],
                stdio=stdio,
                report=write,
                tty=tty,
                warm=self.warm and body.get("warm", True),
            )
        for handle in (write, *handles):
            os.close(handle)
        self.execs[pid] = peer
        peer.process = pid
        self._on(report, lambda: self._reported(report, peer, {"pid": pid}))

    def _do_kill(self, peer: Peer, body: dict[str, Any]) -> None:
        """End the process that this connection's exec started."""
        if peer.process in self.execs:
            os.kill(peer.process, body.get("signal", signal.SIGKILL))

    def _do_attach(self, peer: Peer, body: dict[str, Any]) -> None:
        """File descriptors in order: output, error output, and input if the container has one."""
        container, (handles, peer.handles) = self.containers[body["id"]], (peer.handles, [])
        out, err, *source = handles
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        container.attached.append(out)
        self._errors[out] = err
        if source:
            os.set_blocking(source[0], False)
            self._on(source[0], lambda: self._feed(container, source[0]))
        if container.exit is not None:
            self._detach(container)
        self._answer(peer, {})

    def _feed(self, container: Container, source: int) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = os.read(source, 4096)
        if data and container.input >= 0:
            with contextlib.suppress(OSError):
                os.write(container.input, data)
            return
        self._off(source)
        os.close(source)
        if container.launch.stdin_once and container.input >= 0 and not container.launch.tty:
            os.close(container.input)
            container.input = -1

    def _detach(self, container: Container) -> None:
        for out in container.attached:
            for handle in {out, self._errors.pop(out, out)}:
                with contextlib.suppress(OSError):
                    os.close(handle)
        container.attached.clear()

    def _do_resize(self, peer: Peer, body: dict[str, Any]) -> None:
        container = self.containers[body["id"]]
        if container.terminal >= 0:
            fcntl.ioctl(
                container.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", body["rows"], body["columns"], 0, 0)
            )
        self._answer(peer, {})

    def _do_list(self, peer: Peer, body: dict[str, Any]) -> None:
        self._answer(
            peer, {"pid": os.getpid(), "containers": [container.summary() for container in self.containers.values()]}
        )

    def _do_watch(self, peer: Peer, body: dict[str, Any]) -> None:
        peer.watching = True
        self._do_list(peer, body)

    def _do_forget(self, peer: Peer, body: dict[str, Any]) -> None:
        """Drop what is kept of a container that has ended."""
        container = self.containers.get(body["id"])
        if container is not None and container.exit is not None:
            del self.containers[body["id"]]
        self._answer(peer, {})

    def _do_shutdown(self, peer: Peer, body: dict[str, Any]) -> None:
        """Ask every container to end, each with its own signal, and insist after `grace` seconds: a database that is killed repairs itself for
        longer than it takes to ask."""
        self._answer(peer, {})
        self.ending, self.deadline = True, time.monotonic() + float(body.get("grace", 0.0))
        for container in self._alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(container.pid, container.launch.stop_signal)

    def _shutdown(self) -> None:
        self.ending, self.deadline = True, float("inf")
        for container in self._alive():
            self._kill_tree(container)
            with contextlib.suppress(ProcessLookupError):
                os.kill(container.pid, signal.SIGKILL)

    def _alive(self) -> list[Container]:
        return [container for container in self.containers.values() if container.exit is None]

    # Ends

    def _reap(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(wake, 512):
                pass
        by_pid = {container.pid: container for container in self._alive()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if container := by_pid.get(pid):
                self._ended(container, status)
            elif peer := self.execs.pop(pid, None):
                self._answer(peer, {"exit": _exit_code(status)})

    def _ended(self, container: Container, status: int) -> None:
        self._kill_tree(container)
        for handle, stream in list(container.outputs.items()):
            self._pump(container, handle, stream, until_empty=True)
            self._off(handle)
            if handle != container.terminal:
                with contextlib.suppress(OSError):
                    os.close(handle)
        container.log.close()
        self._detach(container)
        for handle in {container.input, container.terminal} - {-1}:
            with contextlib.suppress(OSError):
                os.close(handle)
        container.input = container.terminal = -1
        container.exit = {
            "code": _exit_code(status),
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "finishedAt": logs.now(),
        }
        _write(container.launch.folder, "exit.json", container.exit)
        for peer in [peer for peer in self.peers if peer.watching]:
            self._answer(peer, {"ended": container.summary()})

    def _kill_tree(self, container: Container) -> None:
        """Every process of a container but its first: its session, its descendants, and what shares its private mounts."""
        for pid in members(container.pid, container=container.launch.id, namespace=container.namespace):
            if pid != container.pid and pid not in self.execs:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def members(pid: int, *, container: str = "", namespace: str = "") -> list[int]:
    """The processes of the container whose first process is or was `pid`: its descendants, its session, and those that left both but carry
    the container's id in their environment or share its private mounts."""
    table = _processes()
    tree = {pid}
    grown = True
    while grown:
        found = {other for other, (parent, session) in table.items() if parent in tree or session in tree} - tree
        tree |= found
        grown = bool(found)
    for other, (parent, _) in table.items():
        if parent in (1, os.getpid()) and other not in tree and _belongs(other, container, namespace):
            tree |= {other, *members(other)}
    return sorted(tree & table.keys())


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and session of every process."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


def _belongs(pid: int, container: str, namespace: str) -> bool:
    if namespace and _namespace(pid) == namespace:
        return True
    try:
        return bool(container) and f"KUBESIM_CONTAINER={container}".encode() in Path(
            f"/proc/{pid}/environ"
        ).read_bytes().split(b"\0")
    except OSError:
        return False


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """When a process began, in clock ticks since boot: with the pid it names a process for good. 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def _exit_code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _write(folder: str, name: str, body: dict[str, Any]) -> None:
    temporary = Path(folder, f".{name}")
    try:
        temporary.write_text(json.dumps(body))
        temporary.replace(Path(folder, name))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.ENOENT):
            raise


def preload(modules: Sequence[str], source: str = "") -> None:
    """Import what the image lists; what cannot be imported is left to the container, which will say so itself.

    A module of the image's own (below `source`, its working folder) is imported for what it does to the packages it warms up, and then
    forgotten: a container imports the copy of its own file system. No garbage is collected meanwhile: there is none, and looking for
    it costs a fifth of the import.
    """
    gc.disable()
    sys.path[:0] = [source] if source else []
    for name in modules:
        begun = time.monotonic()
        try:
            importlib.import_module(name)
            print(f"imported {name} in {time.monotonic() - begun:.2f} s", flush=True)
        except Exception as error:  # noqa: BLE001  a module may raise anything while it is imported
            print(f"cannot import {name}: {error!r}", flush=True)
    if source:
        _forget(source)
    gc.collect()
    gc.freeze()
    gc.enable()


def _forget(source: str) -> None:
    sys.path.remove(source)
    sys.path_importer_cache.pop(source, None)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{source}/"):
            del sys.modules[name]


def main() -> None:
    parser = argparse.ArgumentParser(prog="kubesim.node.shim", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default="")
    parser.add_argument("--preload", nargs="*", default=[])
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    lock = os.open(options.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(0)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir("/")
    if options.preload:
        preload(options.preload, options.source)
    Shim(options.folder, warm=bool(options.preload)).serve()
    (options.folder / "shim.sock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
