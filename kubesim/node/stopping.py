"""Ending the containers of one pod: hooks and signals first, SIGKILL when the grace period is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable

from kubesim.node import containers, logs, probes
from kubesim.node.podstate import PodState
from kubesim.node.probing import Probing
from kubesim.node.runtime import Exit
from kubesim.node.status import Container, Run

log = logging.getLogger(__name__)


class Stopping:
    """`on_lost` is told of a container whose end nobody else will tell: its shim does not know it."""

    def __init__(self, pod: PodState, on_lost: Callable[[Exit], None]) -> None:
        self.pod, self.on_lost = pod, on_lost
        self.probing = Probing(pod, self.failed)

    async def failed(self, container: Container, grace: float) -> None:
        """A probe has given the container up."""
        await self.one(container, grace, announce=False)

    async def all(self, grace: float) -> None:
        """Main containers together, then sidecars in the reverse order of their start."""
        mains = [one for one in self.pod.containers if one.role != "sidecar" and one.running]
        await asyncio.gather(*(self.one(one, grace) for one in mains))
        for container in reversed([one for one in self.pod.containers if one.role == "sidecar" and one.running]):
            await self.one(container, grace)

    async def one(self, container: Container, grace: float, *, announce: bool = True) -> None:
        """preStop and the stop signal, then SIGKILL when the grace period (s) is over; returns when the container has ended."""
        run = container.run
        if run is None or not run.running:
            return
        if announce:
            self.pod.event(container, "Normal", "Killing", f"Stopping container {container.name}")
        await self.probing.stop(run.id)
        deadline = time.monotonic() + grace
        await self._pre_stop(container, grace)
        if (left := deadline - time.monotonic()) > 0 or grace:
            image = self.pod.host.images.resolve(container.image) if container.image else None
            await self.pod.host.runtime.signal(run.id, containers.stop_signal(container.spec, image))
            await self._until_ended(run, left)
        while run.running:
            await self.pod.host.runtime.signal(run.id, signal.SIGKILL, everyone=True)
            await self._until_ended(run, 5.0)
            if run.running and run.id not in self.pod.host.runtime.owners:
                self.on_lost(Exit(run.id, 137, 9, logs.now(), lost=True))

    async def _pre_stop(self, container: Container, grace: float) -> None:
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if not hook or grace <= 0:
            return
        try:
            async with asyncio.timeout(grace):
                await self.pod.host.prober.hook(self.pod.target(container), hook)
        except probes.HookFailure as error:
            self.pod.event(container, "Warning", "FailedPreStopHook", "PreStopHook failed")
            log.info("preStop of %s in %s/%s: %s", container.name, self.pod.namespace, self.pod.name, error)
        except TimeoutError:
            pass  # Kubernetes says nothing either: the signal follows at once

    async def _until_ended(self, run: Run, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while run.running and (left := deadline - time.monotonic()) > 0:
            self.pod.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 1.0)):
                    await self.pod.wake.wait()
