"""Keeps the node's DNS and the service proxy in step with Services and EndpointSlices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from kubesim.controllers.informer import Informer
from kubesim.node import network
from kubesim.node.daemons import base_environment, spawn
from kubesim.node.host import Host
from kubesim.node.rules import Rules
from kubesim.node.wire import Connection, connect
from kubesim.resources import Object

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.01
_RETRY_SECONDS = 1.0


class Services:
    """`on_names` is called after names changed, `on_change` after anything did."""

    def __init__(self, host: Host, services: Informer, slices: Informer, on_names: Callable[[], None]) -> None:
        self.host, self.services, self.slices, self.on_names = host, services, slices, on_names
        self.changed = asyncio.Event()
        self.lock = asyncio.Lock()
        self.connection: Connection | None = None
        self.sent = ""
        self.rules = Rules()
        self.reported: set[tuple[str, int]] = set()
        self.on_change: Callable[[], None] = lambda: None
        for informer in (services, slices):
            informer.on(lambda old, new: self.changed.set())

    def update_names(self) -> bool:
        """Write the hosts file where names changed."""
        self.host.services = self.services.items()
        names = network.names(self.host.services, self.slices.items())
        path = self.host.folder / "dns" / "hosts"
        if names == self.host.names and path.exists():
            return False
        self.host.names = names
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(".hosts")
        temporary.write_text(network.hosts_text(names))
        temporary.chmod(0o644)
        temporary.replace(path)
        return True

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.changed.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            self.changed.clear()
            self.on_change()
            if self.update_names():
                self.on_names()
            try:
                await self._sync_proxy()
            except (OSError, asyncio.IncompleteReadError) as error:
                log.warning("service proxy: %s; the next attempt is in %.0f s", error, _RETRY_SECONDS)
                self._drop()
                self.host.later(self._again())

    async def watch_proxy(self) -> None:
        """Notice a proxy that died, and start another. For ever."""
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            if self.connection is not None and self.connection.reader.at_eof():
                self._drop()
                self.changed.set()
            elif self.reported:
                self.sent = ""
                self.changed.set()

    async def _again(self) -> None:
        await asyncio.sleep(_RETRY_SECONDS)
        self.changed.set()

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection, self.sent = None, ""

    async def close(self) -> None:
        self._drop()

    def frontends(self) -> list[network.Frontend]:
        """What the proxy is to serve now."""
        return network.frontends(self.services.items(), self.slices.items(), offset=self.host.offset)

    async def police(self, rules: Rules) -> None:
        """Who may connect to whom, from now on. Raises OSError where the proxy cannot be told."""
        self.rules = rules
        await self._sync_proxy()

    async def _sync_proxy(self) -> None:
        async with self.lock:
            await self._send()

    async def _send(self) -> None:
        body: dict[str, Any] = {"frontends": [asdict(frontend) for frontend in self.frontends()]}
        if self.rules:
            body["rules"] = self.rules.to_json()
        text = json.dumps(body)
        if text == self.sent and self.connection is not None:
            return
        if self.connection is None:
            self.connection = await self._connect()
        answer = await self.connection.ask(body)
        self.sent = text
        self._report(answer.get("problems") or [])

    async def _connect(self) -> Connection:
        folder = self.host.folder / "proxy"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(OSError):
            return await connect(folder, "proxy.sock")
        pid = spawn("kubesim.node.proxy", [str(folder)], env=base_environment(), log=folder / "log")
        self.host.runtime.spawned.add(pid)
        while not self._has_ended(pid):  # one that fails ends; on a busy machine one that does not may take long
            with contextlib.suppress(OSError):
                return await connect(folder, "proxy.sock")
            await asyncio.sleep(0.02)
        raise ChildProcessError(f"it ended before it answered, see {folder / 'log'}")

    def _has_ended(self, pid: int) -> bool:
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:  # reaped already
            ended = True
        if ended:
            self.host.runtime.spawned.discard(pid)
        return ended

    def _report(self, problems: list[Mapping[str, Any]]) -> None:
        """An Event for each port that is newly taken."""
        now = {(str(problem["address"]), int(problem["port"])) for problem in problems}
        for problem in problems:
            if (problem["address"], problem["port"]) not in self.reported:
                service = self.services.get(*problem["service"])
                if service is not None:
                    text = f"cannot listen on {problem['address']}:{problem['port']}: {problem['message']}"
                    self.host.event(service | {"kind": "Service"}, "Warning", "FailedToListen", text)
        self.reported = now


def endpoints(slices: Informer, namespace: str, name: str) -> list[Object]:
    """The EndpointSlices of a Service."""
    return [
        piece
        for piece in slices.items(namespace)
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
    ]
