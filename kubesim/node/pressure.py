"""What pods use of the machine, and the end of those that use more than they may: memory every two seconds, disk every ten."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping

from kubesim import quantity
from kubesim.node import storage
from kubesim.node.pods import PodWorker
from kubesim.node.podstate import PodState
from kubesim.node.runtime import Runtime
from kubesim.node.status import Container
from kubesim.node.storage import Held
from kubesim.node.usage import Meter
from kubesim.resources import Object

_SAMPLE_SECONDS = 2.0
_STORAGE_SECONDS = 10.0


class Pressure:
    """Looks at the pods of `workers`. `pids` are the first processes of containers that an earlier server started."""

    def __init__(self, runtime: Runtime, workers: Mapping[str, PodWorker]) -> None:
        self.runtime, self.workers = runtime, workers
        self.meter = Meter()
        self.pids: dict[str, int] = {}

    def _running(self) -> dict[str, tuple[PodWorker, Container]]:
        return {
            one.run.id: (worker, one)
            for worker in self.workers.values()
            for one in worker.containers
            if one.run is not None and one.running
        }

    def _roots(self) -> dict[str, int]:
        running = self._running()
        for id in running.keys() - self.pids.keys():
            if pid := self.runtime.pids.get(id):
                self.pids[id] = pid
        return {id: self.pids[id] for id in running if id in self.pids}

    async def measure(self) -> None:
        """Sample every container, and end those that use more memory than their limit. For ever."""
        while True:
            limits = {id: limit for id, (_, one) in self._running().items() if (limit := memory_limit(one.spec))}
            for id in await asyncio.to_thread(self.meter.sample, self._roots(), limits, time.monotonic()):
                await self._out_of_memory(id)
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _out_of_memory(self, id: str) -> None:
        worker, container = self._running().get(id, (None, None))
        if worker is not None and container is not None:
            worker.exceeded(container)
            await self.runtime.signal(id, signal.SIGKILL, everyone=True)

    async def store(self) -> None:
        """Look at what pods hold on disk, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_STORAGE_SECONDS)

    async def look(self) -> None:
        """Evict the pods that hold more on disk than they may; a pod without limits costs nothing."""
        for worker in [one for one in self.workers.values() if storage.limited(one.pod) and not one.final[0]]:
            if message := storage.excess(worker.pod, await asyncio.to_thread(held, worker)):
                worker.evict(message)

    def usage(self) -> dict[tuple[str, str], dict[str, tuple[float, int]]]:
        """(namespace, pod) -> container -> (CPUs, bytes), of containers that were sampled twice."""
        rates = self.meter.rates()
        found: dict[tuple[str, str], dict[str, tuple[float, int]]] = {}
        for id, (worker, container) in self._running().items():
            if id in rates:
                found.setdefault((worker.namespace, worker.name), {})[container.name] = rates[id]
        return found


def memory_limit(spec: Object) -> int:
    """Bytes; 0 where a container has no limit."""
    limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    return int(quantity.parse(limit)) if limit else 0


def held(pod: PodState) -> Held:
    """What a pod has on disk now. Looks at every file of it: not for the event loop."""
    folders = [one["name"] for one in pod.pod["spec"].get("volumes") or [] if one.get("emptyDir") is not None]
    return Held(
        containers={one.name: _written(pod, one) for one in pod.containers},
        folders={name: storage.on_disk(pod.folder / "volumes" / name) for name in folders},
    )


def _written(pod: PodState, container: Container) -> int:
    """A container's own files and logs, without what came with its image."""
    if container.run is None:
        return 0
    folder = pod.host.folder / "containers" / container.run.id
    image = pod.host.images.resolve(container.image)
    copied = storage.on_disk(image.root) if image is not None else 0
    own = max(storage.on_disk(folder / "rootfs") - copied, 0) + storage.on_disk(folder / "tmp")
    return own + storage.on_disk(pod.log_folder / container.name)
