"""The node's side of the shims: start them, start containers in them, hear of every exit.

A runtime belongs to one state directory. It finds the shims that an earlier server left, so that containers are adopted; a shim that dies is
noticed by its closed connection, its containers are reported as lost (exit code 137) and the next start makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubesim.node import logs, processes, shims
from kubesim.node.images import Image, InvalidImageName
from kubesim.node.launch import Launch
from kubesim.node.rules import Rules
from kubesim.node.shims import PLAIN, shim_key
from kubesim.node.wire import Connection, Process, RuntimeFailure, connect_twice, send

_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Exit:
    """How a container ended. `lost` says that nobody saw it: its shim was killed."""

    id: str
    code: int
    signal: int
    finished_at: str
    lost: bool = False


@dataclass(frozen=True)
class Found:
    """A container that an earlier server started."""

    id: str
    pid: int
    started_at: str
    labels: Mapping[str, str]
    shim: str
    exit: Exit | None


class Runtime:
    """Containers by id. `on_exit` is called, on the event loop, once for each container that ends; `find` knows images by name."""

    def __init__(
        self, folder: Path, on_exit: Callable[[Exit], None], find: Callable[[str], Image | None] = lambda name: None
    ) -> None:
        self.folder, self.on_exit, self.find = folder, on_exit, find
        self.connections: dict[str, Connection] = {}
        self.starting: dict[str, asyncio.Lock] = {}
        self.owners: dict[str, str] = {}
        self.ended: dict[str, Exit] = {}
        self.pids: dict[str, int] = {}
        self.watchers: set[asyncio.Task[None]] = set()
        self.spawned: set[int] = set()
        self.rules = Rules()
        self.waiting: dict[str, asyncio.Event] = {}

    async def start(self) -> list[Found]:
        """Connect to the shims that live; the containers that are known, with how they ended where they did."""
        (self.folder / "shims").mkdir(parents=True, exist_ok=True)
        for place in sorted((self.folder / "shims").iterdir()):
            with contextlib.suppress(OSError):
                await self._watch(place.name, *await connect_twice(place))
        return [found for found in map(self._found, sorted((self.folder / "containers").glob("*/state.json"))) if found]

    async def stop(self) -> None:
        """Let go of the shims; they and their containers go on."""
        for task in self.watchers:
            task.cancel()
        await asyncio.gather(*self.watchers, return_exceptions=True)
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()

    def _found(self, state: Path) -> Found | None:
        try:
            body = json.loads(state.read_text())
        except (OSError, ValueError):
            return None
        key = self.owners.get(body["id"], "")
        exit = self.ended.get(body["id"]) or (None if key else self._post_mortem(body, state.parent))
        return Found(body["id"], body["pid"], body["startedAt"], body["labels"], key, exit)

    def _post_mortem(self, body: Mapping[str, Any], folder: Path) -> Exit:
        """How a container without a shim ended: as recorded, else it died with its shim."""
        try:
            return _exit(body["id"], json.loads((folder / "exit.json").read_text()))
        except (OSError, ValueError):
            self._sweep(body["id"], body["pid"])
            return Exit(body["id"], code=137, signal=9, finished_at=logs.now(), lost=True)

    @staticmethod
    def _sweep(id: str, pid: int) -> None:
        for member in processes.members(pid, container=id):
            if member != pid or processes.start_ticks(pid) == 0:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(member, signal.SIGKILL)

    # Shims

    async def warm(self, image: Image) -> None:
        """Have the image's fork server ready, ahead of need."""
        await self._shim(shim_key(image), image)

    async def _shim(self, key: str, image: Image | None) -> Connection:
        async with self.starting.setdefault(key, asyncio.Lock()):
            if key not in self.connections:
                await self._start_shim(key, image)
            return self.connections[key]

    async def _start_shim(self, key: str, image: Image | None) -> None:
        place = self.folder / "shims" / key
        if pid := await self._begin(place, image if key != PLAIN else None):
            self.spawned.add(pid)
        while True:  # one that fails ends; on a busy machine the imports of a training take minutes
            try:
                asking, watching = await connect_twice(place)
                break
            except OSError as error:
                if (not pid or self._has_ended(pid)) and not shims.lives(place):
                    raise RuntimeFailure(f"the shim does not start, see {place / 'log'}") from error
                await asyncio.sleep(0.01)
        await self._watch(key, asking, watching)

    async def _begin(self, place: Path, image: Image | None) -> int:
        """A shim's process: a fork of the one whose imports it shares, where that one runs."""
        if image and image.preload_from:
            with contextlib.suppress(OSError, RuntimeFailure, InvalidImageName):
                trunk = self.find(image.preload_from)
                if trunk and shim_key(trunk) in self.connections:
                    return await shims.branch(place, image, trunk=self.folder / "shims" / shim_key(trunk))
        return shims.start(place, image)

    def _has_ended(self, pid: int) -> bool:
        """Reap a shim that this process started; True where it is gone."""
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:  # reaped before, or another shim's child
            ended = not processes.start_ticks(pid)
        if ended:
            self.spawned.discard(pid)
        return ended

    def end_spawned(self) -> None:
        """End processes of this runtime that are still starting, and so could not be asked to end."""
        for pid in [pid for pid in list(self.spawned) if not self._has_ended(pid)]:
            os.kill(pid, signal.SIGTERM)

    async def _watch(self, key: str, asking: Connection, watching: Connection) -> None:
        listed = await watching.ask({"op": "watch"})
        await self._send_rules(asking)
        self.connections[key] = asking
        for body in listed["containers"]:
            self.owners[body["id"]] = key
            if body["exit"]:
                self.ended[body["id"]] = _exit(body["id"], body["exit"])
        task = asyncio.create_task(self._listen(key, watching))
        self.watchers.add(task)
        task.add_done_callback(self.watchers.discard)
        task.add_done_callback(lambda _: watching.close())  # also of one that was cancelled before it began

    async def police(self, rules: Rules) -> None:
        """Who may connect to whom, from now on, in every shim."""
        self.rules = rules
        for connection in list(self.connections.values()):
            await self._send_rules(connection)

    async def _send_rules(self, connection: Connection) -> None:
        with contextlib.suppress(ConnectionError, RuntimeFailure):  # a shim of an older version knows no rules
            await connection.ask({"op": "rules", "rules": self.rules.to_json()})

    async def _listen(self, key: str, watching: Connection) -> None:
        try:
            while True:
                body = await watching.read()
                if "ended" in body:
                    self._tell(_exit(body["ended"]["id"], body["ended"]["exit"]))
        except (ConnectionError, asyncio.IncompleteReadError):
            self._lost(key)

    def _tell(self, exit: Exit) -> None:
        self.pids.pop(exit.id, None)
        if waiting := self.waiting.pop(exit.id, None):
            waiting.set()
        if exit.id not in self.ended:
            self.ended[exit.id] = exit
            self.on_exit(exit)

    def _lost(self, key: str) -> None:
        connection = self.connections.pop(key, None)
        if connection is not None:
            connection.close()
        for pid in list(self.spawned):
            self._has_ended(pid)
        for id in [id for id, owner in self.owners.items() if owner == key and id not in self.ended]:
            try:
                body = json.loads((self.folder / "containers" / id / "state.json").read_text())
            except (OSError, ValueError):
                body = {"id": id, "pid": 0}
            self._tell(self._post_mortem(body, self.folder / "containers" / id))

    # Containers

    async def run(self, launch: Launch, image: Image) -> str:
        """Start a container; when it started. Raises RuntimeFailure with what the program's absence looks like in Kubernetes."""
        key = PLAIN if launch.env.get("KUBESIM_PRELOAD") == "false" else shim_key(image)
        self.owners[launch.id] = key
        for attempt in (1, 2):
            connection = await self._shim(key, image)
            try:
                answer = await connection.ask({"op": "start", "launch": launch.to_json()})
            except ConnectionError as error:
                self._lost(key)
                self.ended.pop(launch.id, None)
                if attempt == 2:
                    raise RuntimeFailure(f"the shim died while the container started: {error}") from error
                continue
            if "failed" in answer:
                raise RuntimeFailure(answer["failed"])
            self.pids[launch.id] = answer["pid"]
            return str(answer["startedAt"])
        raise AssertionError("unreachable")

    def _connection(self, id: str) -> Connection:
        connection = self.connections.get(self.owners.get(id, ""))
        if connection is None or id in self.ended:
            raise RuntimeFailure("container is not running")
        return connection

    async def signal(self, id: str, number: int, *, everyone: bool = False) -> None:
        """Signal a container's first process, or all its processes; nothing happens where it has ended."""
        with contextlib.suppress(RuntimeFailure, ConnectionError):
            await self._connection(id).ask({"op": "signal", "id": id, "signal": number, "all": everyone})

    async def kill(self, id: str) -> None:
        """End all of a container's processes; returns when its end is recorded, or after some seconds in any case."""
        ended = self.waiting.setdefault(id, asyncio.Event())
        if id not in self.ended and id in self.owners:
            await self.signal(id, signal.SIGKILL, everyone=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_KILL_SECONDS):
                    await ended.wait()
        self.waiting.pop(id, None)

    async def resize(self, id: str, *, rows: int, columns: int) -> None:
        with contextlib.suppress(RuntimeFailure, ConnectionError):
            await self._connection(id).ask({"op": "resize", "id": id, "rows": rows, "columns": columns})

    async def forget(self, id: str) -> None:
        """Drop the records of a container that has ended."""
        key = self.owners.pop(id, "")
        self.ended.pop(id, None)
        if connection := self.connections.get(key):
            with contextlib.suppress(RuntimeFailure, ConnectionError):
                await connection.ask({"op": "forget", "id": id})

    async def exec(self, id: str, argv: Sequence[str], *, handles: Sequence[int], tty: bool = False) -> Process:
        """A process beside the container's; `handles` are its standard streams (one, the terminal, with tty) and are closed here."""
        return await self._with_handles({"op": "exec", "id": id, "argv": list(argv), "tty": tty}, id, handles)

    async def attach(self, id: str, *, handles: Sequence[int]) -> Process:
        """Copy a container's output to handles[0] and [1], and handles[2], if given, to its input."""
        return await self._with_handles({"op": "attach", "id": id}, id, handles)

    async def _with_handles(self, body: Mapping[str, Any], id: str, handles: Sequence[int]) -> Process:
        try:
            self._connection(id)
        except RuntimeFailure:
            for handle in handles:
                os.close(handle)
            raise
        try:
            process = Process(await send(self.folder / "shims" / self.owners[id], body, handles))
        except OSError as error:
            raise RuntimeFailure("container is not running") from error
        try:
            await process.begin()
        except BaseException:
            process.close()
            raise
        return process


def _exit(id: str, body: Mapping[str, Any]) -> Exit:
    return Exit(id, code=body["code"], signal=body["signal"], finished_at=body["finishedAt"])
