"""One pod's life: a task that brings what runs in line with what the API says, again and again, until the pod is gone.

`PodWorker.run` sleeps until something happens (the pod changed, a container ended, a probe spoke, a back-off passed), then `_sync` looks at
the whole state and does what is next. Nothing is remembered that cannot be found again after a restart of the server: containers say by
their labels what they are, the rest is in the pod's status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from kubesim.errors import ApiError, Conflict, NotFound
from kubesim.node import logs, network, status
from kubesim.node.adoption import adopt
from kubesim.node.containers import Place
from kubesim.node.host import Host
from kubesim.node.network import Exhausted
from kubesim.node.podstate import PodState
from kubesim.node.reporting import PODS, Reporting
from kubesim.node.runtime import Exit, Found
from kubesim.node.starting import Starting
from kubesim.node.status import Container, Run
from kubesim.node.stopping import Stopping
from kubesim.node.volumes import VolumeError, Volumes
from kubesim.resources import Object

log = logging.getLogger(__name__)

_REFRESH_SECONDS = 2.0
_TERMINATION_BYTES = 4096
_FORCED_GRACE = 2
_EVICTION_GRACE = 1


class PodWorker(PodState):
    """The pod `pod`; `found` are its containers that an earlier server started."""

    def __init__(self, host: Host, pod: Object, found: Sequence[Found] = ()) -> None:
        super().__init__(host, pod)
        self.volumes = Volumes(host.client, state=host.options.state, folder=self.folder, node=host.node)
        self.stopping = Stopping(self, self.exited)
        self.starting = Starting(self, self.stopping)
        self.refreshed = 0.0
        self.failures = 0
        self.evicted = ""
        self.reporting = Reporting(self)
        self.task: asyncio.Task[None] | None = None
        self.lost = adopt(self.containers, pod, found)
        for container in self.containers:
            if container.adopted and container.run is not None and container.ended:
                container.run.message = self._termination_message(container, container.run)

    # What it is told

    def changed(self, pod: Object) -> None:
        """New limits (`--subresource resize`) hold from now on; a new image from the container's next start."""
        self.pod = pod
        for container, (spec, _) in zip(self.containers, status.roles(pod), strict=True):
            container.spec = spec
        self.wake.set()

    def removed(self, pod: Object) -> None:
        """The API has no such pod any more: whatever runs is ended."""
        self.pod, self.gone = pod, True
        self.wake.set()

    def exited(self, exit: Exit) -> None:
        """A container of this pod ended."""
        for container in self.containers:
            if container.run is not None and container.run.id == exit.id and container.run.running:
                self._ended(container, exit)
        self.wake.set()

    def exceeded(self, container: Container) -> None:
        """A container used more memory than its limit; the kernel's part is played here."""
        if container.run is not None and container.running:
            container.run.reason = "OOMKilled"

    def evict(self, message: str) -> None:
        """The pod holds more on disk than it may: it ends now, as Failed."""
        if not self.evicted and not self.final[0]:
            self.evicted = message
            self.host.event(self.pod, "Warning", "Evicted", message)
            self.wake.set()

    # The loop

    async def run(self) -> None:
        """Until the pod is gone from the API and nothing of it is left here."""
        self.host.later(self.reporting.announce())
        try:
            if self.lost:
                with contextlib.suppress(ApiError):
                    await self.reporting.report()
            while not await self._turn():
                pass
        finally:
            await self.stopping.probing.stop()

    async def _turn(self) -> bool:
        self.wake.clear()
        try:
            delay = await self._sync()
            self.failures = 0
        except (NotFound, Conflict):
            delay = 1.0
        except ApiError as error:
            log.warning("pod %s/%s: %s", self.namespace, self.name, error.message)
            delay = 1.0
        if delay is not None and delay < 0:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self.wake.wait()
        return False

    async def _sync(self) -> float | None:
        """One look at everything; when to look again (None: when told, negative: never)."""
        if self.gone or self.pod["metadata"].get("deletionTimestamp"):
            await self._finish()
            return -1.0
        if self._deadline_passed():
            await self.stopping.all(0)
            self.final = ("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        elif self.evicted and not self.final[0]:
            await self.stopping.all(_EVICTION_GRACE)
            self.final = ("Failed", "Evicted", self.evicted)
        if self._is_final():
            await self._settle()
            return None
        try:
            delay = await self._advance()
        except (VolumeError, Exhausted, OSError) as error:
            delay = self._cannot_mount(str(error))
        if self._is_final():
            await self._settle()
            return None
        await self.reporting.report()
        return min(
            [one for one in (delay, self._until_deadline(), self._until_refresh()) if one is not None], default=None
        )

    def _is_final(self) -> bool:
        if self.final[0]:
            return True
        if (self.pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") and not any(
            one.running for one in self.containers
        ):
            known = self.pod["status"]
            self.final = (known["phase"], known.get("reason", ""), known.get("message", ""))
            return True
        phase = status.phase(self.containers, self.policy)
        if phase in ("Succeeded", "Failed"):
            self.final = (phase, "", "")
            return True
        return False

    async def _settle(self) -> None:
        """The pod will not run again: sidecars end, its address is given back, its status says so."""
        await self.stopping.all(self.grace())
        await self.stopping.probing.stop()
        await self.reporting.report()
        self.host.addresses.give_back(self.uid)
        self.volumes.remove()

    def _deadline_passed(self) -> bool:
        left = self._until_deadline()
        return left is not None and left <= 0 and not self.final[0]

    def _until_deadline(self) -> float | None:
        seconds, start = self.pod["spec"].get("activeDeadlineSeconds"), (self.pod.get("status") or {}).get("startTime")
        if seconds is None or not start:
            return None
        return (
            float(seconds) - (datetime.now(UTC) - datetime.fromisoformat(start.replace("Z", "+00:00"))).total_seconds()
        )

    def _until_refresh(self) -> float | None:
        fresh = any(
            volume.keys() & {"configMap", "secret", "projected", "downwardAPI"}
            for volume in self.pod["spec"].get("volumes") or []
        )
        return _REFRESH_SECONDS if fresh else None

    def _cannot_mount(self, message: str) -> float:
        self.failures += 1
        if self.failures in (1, 4) or self.failures % 20 == 0:
            self.host.event(self.pod, "Warning", "FailedMount", message)
        return float(min(0.25 * 2.0 ** min(self.failures, 5), 5.0))

    # Forward

    async def _advance(self) -> float | None:
        """Start what is to be started now; when a back-off passes."""
        await self._ensure_place()
        self._resume()
        delays: list[float] = []
        for container in self.containers:
            if container.role == "main":
                break
            if container.role == "init" and container.succeeded:
                continue
            if not container.running:
                delays += await self.starting.start_or_wait(container)
            if container.role == "init" or not container.started:
                return min(delays, default=None)
        for container in self.containers:
            if container.role == "main" and not container.running and self._wanted(container):
                delays += await self.starting.start_or_wait(container)
        return min(delays, default=None)

    def _resume(self) -> None:
        """Probe adopted containers again."""
        for container in self.containers:
            if container.running and container.adopted:
                container.adopted = False
                self.stopping.probing.start(container)

    def _wanted(self, container: Container) -> bool:
        return container.run is None or status.restart_wanted(container, self.policy)

    async def _ensure_place(self) -> None:
        if self.place is not None:
            if time.monotonic() - self.refreshed > _REFRESH_SECONDS:
                self.refreshed = time.monotonic()
                await self.volumes.refresh(self.pod)
            return
        spec, known = self.pod["spec"], (self.pod.get("status") or {}).get("podIP")
        host_network = bool(spec.get("hostNetwork"))
        address = network.NODE_ADDRESS if host_network else known or self.host.addresses.take(self.uid)
        self.address = address
        hostname = spec.get("hostname") or self.name[:63]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.place_hosts(address, hostname)
        if self.host.isolation is not None:
            await self.host.isolation.settled()
        ready = await self.volumes.setup(self.pod)
        self.refreshed = time.monotonic()
        self.place = Place(address, hostname, self.folder, self.log_folder, ready, host_network)

    def place_hosts(self, address: str = "", hostname: str = "") -> None:
        """Write the pod's /etc/hosts, in place: it may be mounted."""
        address = address or self.address
        if not address or not self.folder.exists():
            return
        hostname = hostname or self.pod["spec"].get("hostname") or self.name[:63]
        subdomain = self.pod["spec"].get("subdomain")
        full = f"{hostname}.{subdomain}.{self.namespace}.svc.{network.DOMAIN}\t" if subdomain else ""
        aliases = [
            (item["ip"], name)
            for item in self.pod["spec"].get("hostAliases") or []
            for name in item.get("hostnames") or []
        ]
        text = network.pod_hosts(
            self.host.names, namespace=self.namespace, own=f"{address}\t{full}{hostname}", aliases=aliases
        ).encode()
        path = self.folder / "hosts"
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(text)
            file.truncate()

    # Ends

    def _ended(self, container: Container, exit: Exit) -> None:
        run = container.run
        assert run is not None
        self.stopping.probing.forget(run.id)
        run.exit_code, run.signal, run.finished_at = exit.code, exit.signal, exit.finished_at
        if run.reason != "OOMKilled":
            run.reason = "Completed" if exit.code == 0 else "Error"
        run.message = self._termination_message(container, run)
        container.ready = container.started = False

    def _termination_message(self, container: Container, run: Run) -> str:
        try:
            text = (self.host.folder / "containers" / run.id / "termination-log").read_bytes()[:_TERMINATION_BYTES]
        except OSError:
            text = b""
        if not text and run.exit_code and container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            path = self.log_folder / container.name / f"{run.attempt}.log"
            text = b"".join(logs.tail(path, 80))[-2048:]
        return text.decode(errors="replace")

    async def _finish(self) -> None:
        """The pod is deleted: end everything, say so, take it out of the API and off the disk."""
        grace = _FORCED_GRACE if self.gone else self.grace()
        await self.stopping.all(grace)
        await self.stopping.probing.stop()
        if not self.gone:
            await self.reporting.report()
        await asyncio.to_thread(self._erase)
        self.host.addresses.give_back(self.uid)
        if not self.gone:
            with contextlib.suppress(NotFound, Conflict):
                await self.host.client.delete(PODS, self.name, self.namespace, uid=self.uid, grace_seconds=0)

    def _erase(self) -> None:
        for container in self.containers:
            for run in (container.run, container.previous):
                if run is not None:
                    shutil.rmtree(self.host.folder / "containers" / run.id, ignore_errors=True)
        self.volumes.remove()
        shutil.rmtree(self.log_folder, ignore_errors=True)
