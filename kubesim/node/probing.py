"""The probes of one pod: a task for each, and what their answers mean for the container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from kubesim.node import probes
from kubesim.node.podstate import PodState
from kubesim.node.status import Container
from kubesim.resources import Object

Kill = Callable[[Container, float], Coroutine[None, None, None]]


class Probing:
    """`on_failure` ends a container, within so many seconds, that its startup or liveness probe has given up."""

    def __init__(self, pod: PodState, on_failure: Kill) -> None:
        self.pod, self.on_failure = pod, on_failure
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    def start(self, container: Container) -> None:
        spec = container.spec
        container.started = container.started or "startupProbe" not in spec
        container.ready = (container.ready or "readinessProbe" not in spec) and container.started
        started = asyncio.Event()
        if container.started:
            started.set()
        tasks = []
        for kind in ("startup", "readiness", "liveness"):
            if probe := spec.get(f"{kind}Probe"):
                if kind == "startup" and container.started:
                    continue
                tasks.append(self._probe(container, kind, probe, started))
        if container.run is not None:
            self.forget(container.run.id)
            self._tasks[container.run.id] = tasks
        self.pod.wake.set()

    def _probe(
        self, container: Container, kind: probes.Kind, spec: Object, started: asyncio.Event
    ) -> asyncio.Task[None]:
        async def may_run() -> None:
            if kind != "startup":
                await started.wait()

        run = container.run

        def report(result: probes.Result) -> None:
            if container.run is run:
                self._probed(container, result, started)

        def failed(kind: probes.Kind, how: str) -> None:
            if container.running and container.run is run:
                self.pod.event(container, "Warning", "Unhealthy", f"{kind.capitalize()} probe {how}")

        watching = probes.watch(
            self.pod.host.prober, self.pod.target(container), kind, spec, may_run=may_run, report=report, failed=failed
        )
        return asyncio.create_task(watching)

    def _probed(self, container: Container, result: probes.Result, started: asyncio.Event) -> None:
        if result.kind == "readiness":
            container.ready = result.success
        elif result.kind == "startup" and result.success:
            container.started = True
            container.ready = "readinessProbe" not in container.spec
            started.set()
        elif not result.success:
            self.pod.event(
                container,
                "Normal",
                "Killing",
                f"Container {container.name} failed {result.kind} probe, will be restarted",
            )
            probe = container.spec[f"{result.kind}Probe"]
            grace = probe.get("terminationGracePeriodSeconds", self.pod.grace())
            self.pod.host.later(self.on_failure(container, grace))
        self.pod.wake.set()

    async def stop(self, id: str = "") -> None:
        tasks = self._tasks.pop(id, []) if id else [task for tasks in self._tasks.values() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self, id: str) -> None:
        """The container has ended by itself, or is probed anew."""
        for task in self._tasks.pop(id, []):
            task.cancel()
