"""The node itself: it takes the pods that are bound to it, keeps its Node object and lease alive, and serves what the API streams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil

from kubesim import ending
from kubesim.client import Client
from kubesim.controllers.clock import SystemClock
from kubesim.controllers.informer import Informer
from kubesim.node import mounts, network
from kubesim.node.daemons import end_all
from kubesim.node.host import Host, Options
from kubesim.node.images import ImageStore
from kubesim.node.isolation import Isolation
from kubesim.node.pods import PodWorker
from kubesim.node.presence import Presence
from kubesim.node.pressure import Pressure
from kubesim.node.probes import Prober
from kubesim.node.runtime import Exit, Found, Runtime
from kubesim.node.services import Services
from kubesim.node.shims import shim_key
from kubesim.node.warm import Warmer
from kubesim.resources import Object

log = logging.getLogger(__name__)

NODES, LEASES = "v1/nodes", "coordination.k8s.io/v1/leases"
VERSION = "v1.36.2"
_LEASE_SECONDS, _LEASE_RENEW_SECONDS, _STATUS_SECONDS = 40, 10.0, 300.0
_SAMPLE_SECONDS = 2.0


class Node:
    """Everything between the API and the processes. `run` is its life; `stop` leaves containers running unless told otherwise."""

    def __init__(self, client: Client, options: Options) -> None:
        self.options, self.client = options, client
        images = ImageStore(options.state)
        self.runtime = Runtime(options.state / "node", self._exited, images.resolve)
        can = mounts.available() if options.namespaces is not False else mounts.Isolation(mounts=False, processes=False)
        private = can.mounts if options.namespaces is None else options.namespaces
        self.host = Host(options, client, self.runtime, images, Prober(self.runtime), private, can.processes)
        clock = SystemClock()
        self.pods = Informer(client, "v1/pods", clock)
        self.services = Informer(client, "v1/services", clock)
        self.slices = Informer(client, "discovery.k8s.io/v1/endpointslices", clock)
        self.network = Services(self.host, self.services, self.slices, self._names_changed)
        self.policies = Informer(client, "networking.k8s.io/v1/networkpolicies", clock)
        self.namespaces = Informer(client, "v1/namespaces", clock)
        self.isolation = self.host.isolation = Isolation(
            self.policies,
            self.namespaces,
            self._placed,
            self.network.frontends,
            (self.runtime.police, self.network.police),
            offset=self.host.offset,
        )
        self.workers: dict[str, PodWorker] = {}
        self.found: dict[str, list[Found]] = {}
        self.pressure = Pressure(self.runtime, self.workers)
        self.presence = Presence(client, options, self.host.images)
        self.ready = asyncio.Event()

    # Life

    async def run(self) -> None:
        """Until cancelled. `ready` is set once pods are being taken."""
        found = await self.runtime.start()
        async with asyncio.TaskGroup() as group:
            informers = (self.services, self.slices, self.policies, self.namespaces, self.pods)
            for informer in informers:
                group.create_task(informer.run())
            group.create_task(self.host.events.run())
            await self.presence.register()
            for informer in informers:
                await informer.synced.wait()
            self.network.update_names()
            await self._adopt(found)
            self.pods.on(self._pod_changed)
            self.ready.set()
            warmer = Warmer(self.host.images, self.runtime.warm, shim_key)
            self.network.on_change = self.isolation.changed.set
            for work in (
                self.network.run(),
                self.network.watch_proxy(),
                self.isolation.run(),
                self.presence.beat(),
                self.pressure.measure(),
                self.pressure.store(),
                warmer.run(),
            ):
                group.create_task(work)

    async def stop(self, *, containers: bool) -> None:
        """After `run` was cancelled: let go of the processes, or (`containers`) end them all."""
        tasks = [*self.host.tasks, *(worker.task for worker in self.workers.values() if worker.task is not None)]
        await ending.cancel(tasks)
        await self.host.prober.close()
        await self.network.close()
        await self.runtime.stop()
        if containers:
            await end_all(self.options.state)
            self.runtime.end_spawned()

    async def warm(self, image: str) -> None:
        """Have an image's fork server ready, ahead of need; an image without a preload list needs none."""
        found = self.host.images.resolve(image)
        if found is not None and found.preload:
            await self.runtime.warm(found)

    # Pods

    async def _adopt(self, found: list[Found]) -> None:
        """Give containers back to their pods; end those whose pod is gone."""
        for one in found:
            self.found.setdefault(one.labels["uid"], []).append(one)
            if one.exit is None:
                self.pressure.pids[one.id] = one.pid
        mine = [pod for pod in self.pods.items() if self._is_mine(pod)]
        for pod in mine:
            if (address := (pod.get("status") or {}).get("podIP")) and pod["status"].get("phase") not in (
                "Succeeded",
                "Failed",
            ):
                self.host.addresses.adopt(pod["metadata"]["uid"], address)
        for uid in self.found.keys() - {pod["metadata"]["uid"] for pod in mine}:
            await self._end_orphans(uid, self.found.pop(uid))
        for place in (self.host.folder / "pods").glob("*"):
            if place.name not in {pod["metadata"]["uid"] for pod in mine}:
                shutil.rmtree(place, ignore_errors=True)

    async def _end_orphans(self, uid: str, containers: list[Found]) -> None:
        for one in containers:
            log.info(
                "ending container %s of pod %s/%s, which is gone",
                one.labels["container"],
                one.labels["namespace"],
                one.labels["pod"],
            )
            await self.runtime.kill(one.id)
            shutil.rmtree(self.host.folder / "containers" / one.id, ignore_errors=True)
            await self.runtime.forget(one.id)
            shutil.rmtree(
                self.host.folder / "logs" / f"{one.labels['namespace']}_{one.labels['pod']}_{uid}", ignore_errors=True
            )

    def _is_mine(self, pod: Object) -> bool:
        return bool(pod["spec"].get("nodeName") == self.options.name)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or old["metadata"].get("labels") != new["metadata"].get("labels"):
            self.isolation.changed.set()
        if new is None:
            assert old is not None
            if worker := self.workers.get(old["metadata"]["uid"]):
                worker.removed(old)
            return
        uid = new["metadata"]["uid"]
        if worker := self.workers.get(uid):
            worker.changed(new)
        elif self._is_mine(new):
            self._take(new, uid)

    def _take(self, pod: Object, uid: str) -> None:
        worker = PodWorker(self.host, pod, self.found.pop(uid, []))
        self.workers[uid] = worker
        worker.task = asyncio.get_running_loop().create_task(worker.run(), name=f"pod {worker.namespace}/{worker.name}")
        worker.task.add_done_callback(lambda task: self._left(uid, task))

    def _left(self, uid: str, task: asyncio.Task[None]) -> None:
        worker = self.workers.pop(uid, None)
        if not task.cancelled() and (error := task.exception()) is not None and worker is not None:
            log.error("pod %s/%s: the node failed, and tries again", worker.namespace, worker.name, exc_info=error)
            asyncio.get_running_loop().call_later(1.0, self._retake, worker)

    def _retake(self, worker: PodWorker) -> None:
        pod = self.pods.get(worker.namespace, worker.name)
        if pod is not None and pod["metadata"]["uid"] == worker.uid and worker.uid not in self.workers:
            worker.pod = pod
            self.workers[worker.uid] = worker
            worker.task = asyncio.get_running_loop().create_task(worker.run())
            worker.task.add_done_callback(lambda task: self._left(worker.uid, task))

    def _exited(self, exit: Exit) -> None:
        self.pressure.pids.pop(exit.id, None)
        for worker in self.workers.values():
            worker.exited(exit)

    def _names_changed(self) -> None:
        for worker in self.workers.values():
            with contextlib.suppress(OSError):
                worker.place_hosts()

    def _placed(self) -> dict[str, Object]:
        """Pods by their address, those of the node's own network excepted."""
        return {
            worker.address: worker.pod
            for worker in self.workers.values()
            if worker.address and worker.address != network.NODE_ADDRESS and not worker.final[0]
        }

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """The pod of that name as it runs here."""
        pod = self.pods.get(namespace, name)
        return self.workers.get(pod["metadata"]["uid"]) if pod else None

    def usage(self) -> dict[tuple[str, str], dict[str, tuple[float, int]]]:
        """(namespace, pod) -> container -> (CPUs, bytes), of containers that were sampled twice."""
        return self.pressure.usage()
