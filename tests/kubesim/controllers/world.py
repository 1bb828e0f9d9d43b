"""Controllers and the scheduler on a real API server, with a kubelet that only says what happens to pods."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubesim.api.local import LocalClient
from kubesim.auth.user import component
from kubesim.client import Client
from kubesim.controllers import run_all
from kubesim.controllers.clock import SystemClock, Timer, stamp
from kubesim.controllers.kinds import NODES, PODS
from kubesim.controllers.meta import deleting, is_finished
from kubesim.errors import ApiError, NotFound
from kubesim.resources import Object
from kubesim.server import Cluster

NODE = "node-1"


class Kubelet:
    """Starts every pod bound to its node at once. A pod annotated `test/exit` ends with that code, `test/ready: "false"` never gets ready."""

    def __init__(self, client: Client, now: Callable[[], datetime], node: str = NODE) -> None:
        self.client = client
        self.now = now
        self.node = node
        self.addresses = 0
        self.started: list[str] = []

    async def run(self) -> None:
        await self.register()
        found = await self.client.list(PODS)
        for pod in found.items:
            await self.handle(pod)
        async for event in self.client.watch(PODS, resource_version=found.resource_version):
            if event.type != "DELETED":
                await self.handle(event.object)

    async def register(self) -> None:
        allocatable = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        body = {
            "metadata": {"name": self.node, "labels": {"kubernetes.io/hostname": self.node}},
            "status": {
                "capacity": allocatable,
                "allocatable": allocatable,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        try:
            await self.client.create(NODES, body)
        except ApiError:
            pass

    async def handle(self, pod: Object) -> None:
        if pod["spec"].get("nodeName") != self.node:
            return
        metadata = pod["metadata"]
        try:
            if deleting(pod):
                await self.client.delete(
                    PODS, metadata["name"], metadata["namespace"], grace_seconds=0, uid=metadata["uid"]
                )
            elif (pod.get("status") or {}).get("phase", "Pending") == "Pending":
                await self.start(pod)
        except NotFound:
            pass

    async def start(self, pod: Object) -> None:
        notes = pod["metadata"].get("annotations") or {}
        self.addresses += 1
        self.started.append(pod["metadata"]["name"])
        ready = notes.get("test/ready", "true") == "true"
        await self.report(pod, "Running", ready=ready, address=f"127.10.0.{self.addresses}")
        if "test/exit" in notes:
            await self.finish(pod, int(notes["test/exit"]))

    async def finish(self, pod: Object, code: int) -> None:
        await self.report(pod, "Failed" if code else "Succeeded", ready=False, code=code)

    async def report(self, pod: Object, phase: str, *, ready: bool, address: str = "", code: int | None = None) -> None:
        metadata = pod["metadata"]
        now = stamp(self.now())
        conditions = [
            {"type": kind, "status": str(ready), "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
        ]
        state: Object = {"running": {"startedAt": now}}
        if code is not None:
            state = {"terminated": {"exitCode": code, "finishedAt": now, "reason": "Error" if code else "Completed"}}
        statuses = [
            {"name": c["name"], "ready": ready, "restartCount": 0, "image": c["image"], "imageID": "", "state": state}
            for c in pod["spec"]["containers"]
        ]
        status: Object = {"phase": phase, "conditions": conditions, "containerStatuses": statuses}
        if address:
            status |= {"podIP": address, "podIPs": [{"ip": address}], "hostIP": "127.0.0.1", "startTime": now}
        await self.client.patch(
            PODS, metadata["name"], {"status": status}, metadata["namespace"], kind="strategic", subresource="status"
        )


class Hands:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = 0
        self._cancelled: set[int] = set()

    def now(self) -> datetime:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self._count += 1
        heapq.heappush(self._timers, (self.time + timedelta(seconds=max(seconds, 0)), self._count, callback))
        return Cancellation(self._cancelled, self._count)

    def advance(self, seconds: float) -> None:
        """Move on, and fire what falls due, in order."""
        end = self.time + timedelta(seconds=seconds)
        while self._timers and self._timers[0][0] <= end:
            due, number, callback = heapq.heappop(self._timers)
            self.time = max(self.time, due)
            if number not in self._cancelled:
                callback()
        self.time = end


@dataclass(frozen=True)
class Cancellation:
    cancelled: set[int]
    number: int

    def cancel(self) -> None:
        self.cancelled.add(self.number)


class World:
    """A cluster whose controllers run: an administrator's client, and ways to wait for what should come about."""

    def __init__(self, cluster: Cluster, clock: Hands | None = None) -> None:
        self.cluster = cluster
        self.clock = clock
        self.client = cluster.client()
        self.kubelet = Kubelet(cluster.client("system:node"), clock.now if clock else SystemClock().now)
        self.calls: list[tuple[str, str, str]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *, kubelet: bool = True) -> None:
        self._tasks.append(asyncio.create_task(self._run()))
        if kubelet:
            self._tasks.append(asyncio.create_task(self.kubelet.run()))

    async def _run(self) -> None:
        server = self.cluster.server

        def client_for(name: str) -> Client:
            return Counting(LocalClient(server, component(f"system:{name}"), manager=name), self.calls)

        await run_all(
            client_for,
            discover=lambda: tuple(server.registry),
            ca=self.cluster.authority.pem.decode(),
            sign=self._sign,
            issue=server.tokens.lasting,
            volumes=self.cluster.settings.state / "volumes",
            clock=self.clock,
        )

    def _sign(self, csr: str, *, signer: str, usages: list[str], expiration_seconds: int | None) -> str:
        return self.cluster.authority.sign(csr.encode(), usages).decode()

    async def advance(self, seconds: float) -> None:
        """Let time pass, in steps, and everything that follows from it happen."""
        assert self.clock is not None
        for _ in range(10):
            self.clock.advance(seconds / 10)
            await self.settled()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        failed = [t.exception() for t in self._tasks if not t.cancelled()]
        self._tasks.clear()
        assert not failed, failed

    async def until(
        self,
        resource: str,
        check: Callable[[Object], object],
        namespace: str = "default",
        name: str = "",
        *,
        seconds: float = 10,
    ) -> Object:
        """The first object (of that name) for which `check` holds; watches, does not poll."""
        last: Object = {}
        try:
            async with asyncio.timeout(seconds):
                found = await self.client.list(resource, namespace)
                for obj in found.items:
                    if _is(obj, name) and check(obj):
                        return obj
                    last = obj if _is(obj, name) else last
                async for event in self.client.watch(resource, namespace, resource_version=found.resource_version):
                    if _is(event.object, name):
                        last = event.object
                        if event.type != "DELETED" and check(event.object):
                            return event.object
        except TimeoutError:
            raise AssertionError(f"{resource} {name}: not what was expected; last: {last}") from None
        raise AssertionError("the watch ended")

    async def gone(self, resource: str, name: str, namespace: str = "default", *, seconds: float = 10) -> None:
        """Wait until the object is deleted."""
        try:
            async with asyncio.timeout(seconds):
                found = await self.client.list(resource, namespace)
                if not any(_is(obj, name) for obj in found.items):
                    return
                async for event in self.client.watch(resource, namespace, resource_version=found.resource_version):
                    if event.type == "DELETED" and _is(event.object, name):
                        return
        except TimeoutError:
            raise AssertionError(f"{resource} {name} is still there") from None

    async def settled(self, *, turns: int = 200) -> None:
        """Let everything that is ready to run, run: until no API write happened for a while of loop turns."""
        quiet = 0
        seen = self.cluster.server.store.revision
        while quiet < turns:
            await asyncio.sleep(0)
            now = self.cluster.server.store.revision
            quiet, seen = (quiet + 1, now) if now == seen else (0, now)

    async def items(self, resource: str, namespace: str = "default", **selectors: str) -> list[Object]:
        return (await self.client.list(resource, namespace, **selectors)).items

    async def reasons(self, kind: str = "", namespace: str = "default") -> set[tuple[str, str]]:
        """(kind, reason) of the events so far."""
        found = await self.items("v1/events", namespace)
        return {(e["involvedObject"]["kind"], e["reason"]) for e in found if kind in ("", e["involvedObject"]["kind"])}


def _is(obj: Object, name: str) -> bool:
    return not name or obj["metadata"]["name"] == name


class Counting:
    """A client that notes its writes."""

    def __init__(self, inner: Client, calls: list[tuple[str, str, str]]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._inner, verb)
        if verb not in ("create", "update", "patch", "delete"):
            return method

        async def noted(resource: str, body: Any, *args: Any, **options: Any) -> Any:
            name = body if isinstance(body, str) else body["metadata"].get("name", "")
            self._calls.append((verb, resource, name))
            return await method(resource, body, *args, **options)

        return noted


def deployment(
    name: str = "web",
    *,
    replicas: int = 2,
    image: str = "lab/busybox:1",
    annotations: Object | None = None,
    **spec: Any,
) -> Object:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": annotations or {}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": image}]},
    }
    spec.setdefault("progressDeadlineSeconds", 600)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template} | spec,
    }


def running(pods: Iterable[Object]) -> list[Object]:
    return [pod for pod in pods if not deleting(pod) and not is_finished(pod)]
