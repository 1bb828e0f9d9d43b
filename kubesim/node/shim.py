"""The parent of containers: `python -m kubesim.node.shim FOLDER --lock N [--source FOLDER --preload MODULE ...]`.

One process, one thread, no event loop that could get in the way of fork. It outlives the API server: the node connects to FOLDER/shim.sock,
sends one line of JSON per request and reads one line per answer. With --preload it imports those modules before the first fork and is a
*fork server*: Python programs start as copies of it, their modules' memory shared.

Guarantees: an exit is written to the container's folder (exit.json) after its last log line and before anyone is told, so nothing is lost
while the server is away; when a container's first process ends, the rest of its processes are killed, by its PID namespace or in its place; when
the shim is killed, the kernel kills its containers (PR_SET_PDEATHSIG); one shim per folder (`shims.start`), and a shim whose folder is removed ends.

Requests: start {launch}, signal {id, signal, all}, exec {id, argv, tty} with the standard streams as file descriptors, attach {id} with file
descriptors, resize {id, rows, columns}, rules {rules}, list, watch (an answer per exit), forget {id}, branch {folder, source, preload, env} with
the new folder's lock as file descriptor, shutdown {grace}.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubesim.node import birth, branch, child, logs, preload, processes
from kubesim.node.desk import Body, Desk, Loop, Peer
from kubesim.node.guest.kubesim_guest import Guest
from kubesim.node.launch import Launch
from kubesim.node.rules import Rules
from kubesim.node.sentry import Sentry
from kubesim.node.streams import Streams

_PR_SET_CHILD_SUBREAPER = 36
_WATCH_FOLDER_SECONDS = 5.0
_ENDING_SECONDS = 0.1


@dataclass
class Container:
    """A container of this shim. `exit` is None while its first process lives; `ended_by` is the signal that is told as its end."""

    launch: Launch
    pid: int
    started_at: str
    ticks: int
    streams: Streams
    namespace: str = ""
    ended_by: int = 0
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


class Shim:
    """The loop and what may be asked of it. Handlers are called by readiness of a file descriptor; nothing in it waits."""

    def __init__(self, folder: Path, *, warm: bool) -> None:
        self.folder, self.warm = folder, warm
        self.loop = Loop()
        self.desk = Desk(folder, self.loop, self._serve)
        self.sentry = Sentry()
        self.containers: dict[str, Container] = {}
        self.execs: dict[int, Peer] = {}
        self.lines: dict[int, Callable[[], None]] = {}
        self.ending = False
        self.deadline = 0.0

    def run(self) -> None:
        wake, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._insist())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.loop.on(wake, lambda: self._reap(wake))
        while not (self.ending and not self._alive()):
            self.loop.turn(_ENDING_SECONDS if self.ending else _WATCH_FOLDER_SECONDS)
            if not (self.folder / "shim.sock").exists() or (self.ending and time.monotonic() > self.deadline):
                self._insist()

    def _serve(self, peer: Peer, body: Body) -> None:
        handler = getattr(self, f"_do_{body['op']}", None)
        if handler is None:
            raise LookupError(f"bad request: no operation {body['op']!r}")
        handler(peer, body)

    # Start and exec

    def _do_start(self, peer: Peer, body: Body) -> None:
        launch = Launch.from_json(body["launch"])
        if self.ending or launch.id in self.containers:
            raise LookupError("the shim is ending" if self.ending else "started already")
        Path(launch.folder, "root").mkdir(parents=True, exist_ok=True)
        streams = Streams(launch, self.loop)
        try:
            pid, line = birth.fork(
                lambda line: child.main_container(launch, stdio=streams.stdio, line=line, warm=self.warm),
                relayed=launch.private_pids,
            )
        except birth.StillBorn as error:
            streams.forked()
            streams.close()
            self.desk.answer(peer, {"failed": str(error)})
            return
        streams.forked()
        container = Container(launch, pid, logs.now(), processes.start_ticks(pid), streams)
        self.containers[launch.id] = container
        _write(launch.folder, "state.json", container.summary())
        ok = {"pid": pid, "ticks": container.ticks, "startedAt": container.started_at}
        self._listen(pid, line, lambda word: self._begun(word, peer, container, ok))

    def _do_branch(self, peer: Peer, body: Body) -> None:
        """Another shim, forked from this one, with the lock of its folder."""
        (lock,) = peer.take_handles()
        folder, source, modules = Path(body["folder"]), body["source"], body["preload"]
        try:
            pid = os.fork()
            if not pid:
                branch.live(lambda: _serve(folder, source, modules), env=body["env"], lock=lock, log=folder / "log")
        finally:
            os.close(lock)
        self.desk.answer(peer, {"pid": pid})

    def _do_exec(self, peer: Peer, body: Body) -> None:
        container = self.containers[body["id"]]
        if container.exit is not None:
            raise LookupError("container is not running")
        handles, tty = peer.take_handles(), bool(body.get("tty"))
        try:
            pid, line = birth.fork(
                lambda line: child.main_exec(
                    container.pid,
                    container.launch,
                    body["argv"],
                    stdio=handles * 3 if tty else handles,
                    line=line,
                    tty=tty,
                    warm=self.warm and body.get("warm", True),
                ),
                relayed=container.launch.private_pids,
            )
        except birth.StillBorn as error:
            self.desk.answer(peer, {"failed": str(error)})
            return
        finally:
            for handle in handles:
                os.close(handle)
        self.execs[pid] = peer
        peer.process = pid
        self._listen(pid, line, lambda word: self._begun(word, peer, container, {"pid": pid}))

    def _listen(self, pid: int, line: socket.socket, begun: Callable[[birth.Word], None]) -> None:
        """Hear what a process says until its program runs, or does not: `begun` for each word. It is heard to the end before its exit is told."""

        def hear() -> None:
            word = birth.hear(line)
            if word.done:
                self.loop.off(line)
                line.close()
                del self.lines[pid]
            begun(word)

        self.lines[pid] = hear
        self.loop.on(line, hear)

    def _begun(self, word: birth.Word, peer: Peer, container: Container, ok: Body) -> None:
        if not word.done:
            pod = Guest(container.launch.env)
            self.loop.on(word.listener, lambda: self._ask(word.listener, pod))
            return
        if container.launch.private_root and not container.namespace:
            container.namespace = processes.mounts_of(container.pid)
        self.desk.answer(peer, {"failed": word.failed} if word.failed else ok)

    def _ask(self, listener: int, pod: Guest) -> None:
        if not self.sentry.answer(listener, pod):
            self.loop.off(listener)
            os.close(listener)

    def _do_rules(self, peer: Peer, body: Body) -> None:
        """Who may connect to whom, from now on."""
        self.sentry.rules = Rules.from_json(body["rules"])
        self.desk.answer(peer, {})

    # Signals

    def _do_signal(self, peer: Peer, body: Body) -> None:
        container = self.containers[body["id"]]
        if container.exit is None:
            if body.get("all"):
                self._kill_tree(container)
            _signal(container, body["signal"])
        self.desk.answer(peer, {})

    def _do_kill(self, peer: Peer, body: Body) -> None:
        """End the process that this connection's exec started."""
        if peer.process in self.execs:
            os.kill(peer.process, body.get("signal", signal.SIGKILL))

    def _do_shutdown(self, peer: Peer, body: Body) -> None:
        """Ask every container to end, each with its own signal, and insist after `grace` seconds: a database that is killed repairs itself for
        longer than it takes to ask."""
        self.desk.answer(peer, {})
        self.ending, self.deadline = True, time.monotonic() + float(body.get("grace", 0.0))
        for container in self._alive():
            _signal(container, container.launch.stop_signal)

    def _insist(self) -> None:
        self.ending, self.deadline = True, float("inf")
        for container in self._alive():
            self._kill_tree(container)
            _signal(container, signal.SIGKILL)

    # Streams

    def _do_attach(self, peer: Peer, body: Body) -> None:
        """File descriptors in order: output, error output, and input if the container has one."""
        container = self.containers[body["id"]]
        out, err, *source = peer.take_handles()
        container.streams.attach(out, err, source[0] if source else None)
        if container.exit is not None:
            container.streams.detach()
        self.desk.answer(peer, {})

    def _do_resize(self, peer: Peer, body: Body) -> None:
        self.containers[body["id"]].streams.resize(body["rows"], body["columns"])
        self.desk.answer(peer, {})

    # Records

    def _do_list(self, peer: Peer, body: Body) -> None:
        found = [container.summary() for container in self.containers.values()]
        self.desk.answer(peer, {"pid": os.getpid(), "containers": found})

    def _do_watch(self, peer: Peer, body: Body) -> None:
        peer.watching = True
        self._do_list(peer, body)

    def _do_forget(self, peer: Peer, body: Body) -> None:
        """Drop what is kept of a container that has ended."""
        container = self.containers.get(body["id"])
        if container is not None and container.exit is not None:
            del self.containers[body["id"]]
        self.desk.answer(peer, {})

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
            while pid in self.lines:
                self.lines[pid]()
            if container := by_pid.get(pid):
                self._ended(container, status)
            elif peer := self.execs.pop(pid, None):
                self.desk.answer(peer, {"exit": _exit_code(status)})

    def _ended(self, container: Container, status: int) -> None:
        self._kill_tree(container)
        container.streams.close()
        number = container.ended_by or (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
        code = 128 + number if number else _exit_code(status)
        container.exit = {"code": code, "signal": number, "finishedAt": logs.now()}
        _write(container.launch.folder, "exit.json", container.exit)
        self.desk.tell({"ended": container.summary()})

    def _kill_tree(self, container: Container) -> None:
        """Every process of a container but its first: its session, its descendants, and what shares its private mounts. In a PID namespace the
        kernel does it when the first one ends."""
        if container.launch.private_pids:
            return
        for pid in processes.members(container.pid, container=container.launch.id, namespace=container.namespace):
            if pid != container.pid and pid not in self.execs:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _signal(container: Container, number: int) -> None:
    """Signal a container's first process. As process 1 of its namespace it is deaf to signals that it has not said anything about, and would be
    killed only when the grace period is over, as on Kubernetes: here such a program ends at once, as it does outside a container."""
    if (
        container.launch.private_pids
        and number not in processes.HARMLESS
        and not processes.handles(container.pid, number)
    ):
        container.ended_by = number
        number = signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        os.kill(container.pid, number)


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


def _serve(folder: Path, source: str, modules: Sequence[str]) -> None:
    """A shim's life."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if modules:
        preload.load(modules, source)
    Shim(folder, warm=bool(modules)).run()
    (folder / "shim.sock").unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="kubesim.node.shim", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lock", type=int, required=True, help="the open lock of FOLDER, for this process to hold")
    parser.add_argument("--source", default="")
    parser.add_argument("--preload", nargs="*", default=[])
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    os.set_inheritable(options.lock, False)
    os.chdir("/")
    _serve(options.folder, options.source, options.preload)


if __name__ == "__main__":
    main()
