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
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from kubesim.errors import ApiError, Conflict, NotFound
from kubesim.node import containers, logs, network, probes, status
from kubesim.node.containers import Place, Waiting
from kubesim.node.host import Host
from kubesim.node.images import Image, InvalidImageName, normalize
from kubesim.node.network import Exhausted
from kubesim.node.runtime import Exit, Found, RuntimeFailure
from kubesim.node.status import Container, Run, View
from kubesim.node.volumes import VolumeError, Volumes
from kubesim.resources import Object

log = logging.getLogger(__name__)

PODS = "v1/pods"
BACKOFF_FIRST, BACKOFF_MAX = 10.0, 300.0
_REFRESH_SECONDS = 2.0
_IMAGE_CHECK_SECONDS = 1.0
_TERMINATION_BYTES = 4096
_FORCED_GRACE = 2
_RUNC = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed"


class PodWorker:
    """The pod `pod`; `found` are its containers that an earlier server started."""

    def __init__(self, host: Host, pod: Object, found: Sequence[Found] = ()) -> None:
        self.host, self.pod = host, pod
        self.uid: str = pod["metadata"]["uid"]
        self.containers = [Container(spec=spec, role=role) for spec, role in status.roles(pod)]
        self.lost = False
        self.wake = asyncio.Event()
        self.gone = False
        self.volumes = Volumes(host.client, state=host.options.state, folder=self.folder, node=host.node)
        self.place: Place | None = None
        self.final = ("", "", "")
        self.probing: dict[str, list[asyncio.Task[None]]] = {}
        self.refreshed = 0.0
        self.failures = 0
        self.address = ""
        self.task: asyncio.Task[None] | None = None
        self._adopt(found)

    # What it is called

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def folder(self) -> Path:
        return self.host.folder / "pods" / self.uid

    @property
    def log_folder(self) -> Path:
        return self.host.folder / "logs" / f"{self.namespace}_{self.name}_{self.uid}"

    @property
    def policy(self) -> str:
        return str(self.pod["spec"].get("restartPolicy", "Always"))

    def container(self, name: str) -> Container | None:
        return next((one for one in self.containers if one.name == name), None)

    def log_file(self, container: Container, *, previous: bool = False) -> Path | None:
        """Where a container's lines are; None where it never started (or never before). What is in back-off is its own previous run."""
        in_backoff = container.ended and container.waiting[0] == "CrashLoopBackOff"
        run = container.previous if previous and not in_backoff else container.run
        return self.log_folder / container.name / f"{run.attempt}.log" if run else None

    # What it is told

    def changed(self, pod: Object) -> None:
        self.pod = pod
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

    # Adoption

    def _adopt(self, found: Sequence[Found]) -> None:
        old = {one["name"]: one for one in self._old_statuses()}
        for container in self.containers:
            if one := old.get(container.name):
                self._recall(container, one)
            mine = sorted(
                (one for one in found if one.labels["container"] == container.name),
                key=lambda one: int(one.labels["attempt"]),
            )
            if mine:
                self._take_over(container, mine[-1])
                container.previous = container.previous or (_run_of(mine[-2]) if len(mine) > 1 else None)
            if one and one.get("ready") and not container.running and container.role != "init":
                # It ran when the node stopped and does not any more (`kubesim stop`, a reboot): nobody may count on it.
                container.ready = container.started = False
                self.lost = True

    def _old_statuses(self) -> list[Object]:
        known = self.pod.get("status") or {}
        return [*(known.get("initContainerStatuses") or []), *(known.get("containerStatuses") or [])]

    @staticmethod
    def _recall(container: Container, known: Object) -> None:
        container.restarts = known["restartCount"]
        container.image, container.image_id = known["image"], known["imageID"]
        container.started = bool(known.get("started"))
        container.ready = bool(known.get("ready")) and container.role != "init"
        if terminated := (known.get("lastState") or {}).get("terminated"):
            container.previous = _run_from_status(terminated, container.restarts - 1)
        if terminated := (known.get("state") or {}).get("terminated"):
            container.run = _run_from_status(terminated, container.restarts)

    def _take_over(self, container: Container, found: Found) -> None:
        if container.run is not None and container.run.id == found.id and not container.run.running:
            return
        container.run = _run_of(found)
        container.restarts, container.adopted = found_attempt(found), True
        if found.exit is not None:
            container.run.exit_code = None
            self._ended(container, found.exit)

    # The loop

    async def run(self) -> None:
        """Until the pod is gone from the API and nothing of it is left here."""
        try:
            if self.lost:
                with contextlib.suppress(ApiError):
                    await self._report()
            while not await self._turn():
                pass
        finally:
            await self._stop_probing()

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
            await asyncio.wait_for(self.wake.wait(), delay)
        return False

    async def _sync(self) -> float | None:
        """One look at everything; when to look again (None: when told, negative: never)."""
        if self.gone or self.pod["metadata"].get("deletionTimestamp"):
            await self._finish()
            return -1.0
        if self._deadline_passed():
            await self._kill_all(0, reason="DeadlineExceeded")
            self.final = ("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
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
        await self._report()
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
        await self._kill_all(self._grace())
        await self._stop_probing()
        await self._report()
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
                delays += await self._start_or_wait(container)
            if container.role == "init" or not container.started:
                return min(delays, default=None)
        for container in self.containers:
            if container.role == "main" and not container.running and self._wanted(container):
                delays += await self._start_or_wait(container)
        return min(delays, default=None)

    def _resume(self) -> None:
        """Probe adopted containers again."""
        for container in self.containers:
            if container.running and container.adopted:
                container.adopted = False
                self._start_probing(container)

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

    async def _start_or_wait(self, container: Container) -> list[float]:
        """Start a container unless it is in back-off; how long to wait where it is."""
        now = time.monotonic()
        pulling = container.waiting[0] in ("ErrImagePull", "ImagePullBackOff")
        if container.retry_at > now and not (pulling and self._image_is_here(container)):
            return [min(container.retry_at - now, _IMAGE_CHECK_SECONDS if pulling else container.retry_at - now)]
        if container.ended and not container.waiting[0] and (wait := self._backoff(container)):
            return [wait]
        if not await self._start(container):
            return [max(container.retry_at - time.monotonic(), 0.05)]
        return []

    def _image_is_here(self, container: Container) -> bool:
        with contextlib.suppress(InvalidImageName):
            return self.host.images.resolve(container.spec["image"]) is not None
        return False

    def _backoff(self, container: Container) -> float:
        """How long a crashed container waits before it runs again: not at all at first, then 10 s, 20 s, ... 300 s."""
        assert container.run is not None
        if _lasted(container.run) > 2 * BACKOFF_MAX:
            container.backoff = 0.0
        left = container.backoff - _since(container.run.finished_at)
        if left <= 0:
            container.backoff = min(max(container.backoff * 2, BACKOFF_FIRST), BACKOFF_MAX)
            return 0.0
        where = f"{self.name}_{self.namespace}({self.uid})"
        container.waiting = (
            "CrashLoopBackOff",
            f"back-off {_go_seconds(container.backoff)} restarting failed container={container.name} pod={where}",
        )
        container.retry_at = time.monotonic() + left
        container.backoff = min(container.backoff * 2, BACKOFF_MAX)
        self._event(
            container, "Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {where}"
        )
        return left

    async def _start(self, container: Container) -> bool:
        """One attempt. What goes wrong is in `container.waiting` or in its run."""
        assert self.place is not None
        try:
            image = containers.find_image(self.host, container.spec)
            if container.ended:
                container.restarts += 1
            async with self.host.starts:
                launch = await containers.prepare(self.host, self.pod, container, image, self.place)
        except Waiting as problem:
            if container.ended and problem.reason not in ("ErrImagePull", "ErrImageNeverPull", "InvalidImageName"):
                container.restarts -= 1
            self._cannot_start(container, problem)
            return False
        self._begin(container, image, launch.id)
        self.host.event(
            self.pod,
            "Normal",
            "Pulled",
            f'Container image "{container.spec["image"]}" already present on machine and can be accessed by the pod',
            container=container.name,
            role=container.role,
        )
        self._event(container, "Normal", "Created", "Container created")
        run = container.run
        assert run is not None
        try:
            started = await self.host.runtime.run(launch, image)
        except RuntimeFailure as error:
            self._did_not_start(container, run, str(error))
            return True
        run.started_at = started
        self._event(container, "Normal", "Started", "Container started")
        await self._after_start(container)
        return True

    def _begin(self, container: Container, image: Image, id: str) -> None:
        if container.run is not None:
            self._collect(container.previous)
            container.previous = container.run
        container.run = Run(id=id, attempt=container.restarts, started_at=logs.now())
        container.waiting, container.retry_at = ("", ""), 0.0
        container.image, container.image_id = normalize(container.spec["image"]), image.digest
        container.started = container.ready = False

    def _collect(self, run: Run | None) -> None:
        """Forget a container that a newer one has replaced twice."""
        if run is not None:
            shutil.rmtree(self.host.folder / "containers" / run.id, ignore_errors=True)
            self.host.later(self.host.runtime.forget(run.id))

    def _cannot_start(self, container: Container, problem: Waiting) -> None:
        known, now = container.waiting[0], time.monotonic()
        name = container.spec["image"]
        if problem.reason == "ErrImagePull":
            self._cannot_pull(container, problem.message)
            return
        container.waiting = (problem.reason, problem.message)
        container.retry_at = now + (_IMAGE_CHECK_SECONDS if problem.reason != "InvalidImageName" else 10.0)
        if known == problem.reason:
            return
        if problem.reason in ("ErrImageNeverPull", "InvalidImageName"):
            reason = "ErrImageNeverPull" if problem.reason == "ErrImageNeverPull" else "InspectFailed"
            self._event(container, "Warning", reason, problem.message)
            self._event(container, "Warning", "Failed", f"Error: {problem.reason}")
        else:
            self._event(container, "Warning", "Failed", f"Error: {problem.message}")
        log.debug("container %s of %s/%s (%s): %s", container.name, self.namespace, self.name, name, problem.message)

    def _cannot_pull(self, container: Container, message: str) -> None:
        name = container.spec["image"]
        if container.waiting[0] == "ErrImagePull":
            container.backoff = min(max(container.backoff * 2, BACKOFF_FIRST), BACKOFF_MAX)
            container.retry_at = time.monotonic() + container.backoff
            container.waiting = ("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {message}')
            self._event(container, "Normal", "BackOff", f'Back-off pulling image "{name}"')
            self._event(container, "Warning", "Failed", "Error: ImagePullBackOff")
            return
        self._event(container, "Normal", "Pulling", f'Pulling image "{name}"')
        self._event(container, "Warning", "Failed", f'Failed to pull image "{name}": {message}')
        self._event(container, "Warning", "Failed", "Error: ErrImagePull")
        container.waiting = ("ErrImagePull", message)
        container.retry_at = time.monotonic() + 2.0

    def _did_not_start(self, container: Container, run: Run, message: str) -> None:
        text = f"{_RUNC}: unable to start container process: error during container init: {message}"
        run.exit_code, run.reason, run.message = 128, "StartError", text
        run.started_at, run.finished_at = "1970-01-01T00:00:00Z", logs.now()
        self._event(container, "Warning", "Failed", f"Error: {text}")
        self.wake.set()

    async def _after_start(self, container: Container) -> None:
        if hook := ((container.spec.get("lifecycle") or {}).get("postStart")):
            try:
                await self.host.prober.hook(self._target(container), hook)
            except probes.HookFailure as error:
                self._event(container, "Warning", "FailedPostStartHook", str(error))
                self._event(container, "Normal", "Killing", "FailedPostStartHook")
                await self._kill(container, self._grace(), announce=False)
                return
        self._start_probing(container)

    # Probes

    def _target(self, container: Container) -> probes.Target:
        assert container.run is not None
        return probes.Target(container.run.id, container.spec, self.address, self.host.offset)

    def _start_probing(self, container: Container) -> None:
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
        if tasks and container.run is not None:
            self.probing[container.run.id] = tasks
        self.wake.set()

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

        def failed(kind: probes.Kind, message: str) -> None:
            if container.running and container.run is run:
                self._event(container, "Warning", "Unhealthy", f"{kind.capitalize()} probe failed: {message}")

        watching = probes.watch(
            self.host.prober, self._target(container), kind, spec, may_run=may_run, report=report, failed=failed
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
            self._event(
                container,
                "Normal",
                "Killing",
                f"Container {container.name} failed {result.kind} probe, will be restarted",
            )
            probe = container.spec[f"{result.kind}Probe"]
            self.host.later(
                self._kill(container, probe.get("terminationGracePeriodSeconds", self._grace()), announce=False)
            )
        self.wake.set()

    async def _stop_probing(self, id: str = "") -> None:
        tasks = self.probing.pop(id, []) if id else [task for tasks in self.probing.values() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Ends

    def _ended(self, container: Container, exit: Exit) -> None:
        run = container.run
        assert run is not None
        for task in self.probing.pop(run.id, []):
            task.cancel()
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

    def _grace(self) -> int:
        metadata = self.pod["metadata"]
        if metadata.get("deletionGracePeriodSeconds") is not None:
            return int(metadata["deletionGracePeriodSeconds"])
        return int(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def _finish(self) -> None:
        """The pod is deleted: end everything, say so, take it out of the API and off the disk."""
        grace = _FORCED_GRACE if self.gone else self._grace()
        await self._kill_all(grace)
        await self._stop_probing()
        if not self.gone:
            await self._report()
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

    async def _kill_all(self, grace: float, *, reason: str = "") -> None:
        """Main containers together, then sidecars in the reverse order of their start."""
        mains = [one for one in self.containers if one.role != "sidecar" and one.running]
        await asyncio.gather(*(self._kill(one, grace) for one in mains))
        for container in reversed([one for one in self.containers if one.role == "sidecar" and one.running]):
            await self._kill(container, grace)

    async def _kill(self, container: Container, grace: float, *, announce: bool = True) -> None:
        """preStop and the stop signal, then SIGKILL when the grace period (s) is over; returns when the container has ended."""
        run = container.run
        if run is None or not run.running:
            return
        if announce:
            self._event(container, "Normal", "Killing", f"Stopping container {container.name}")
        await self._stop_probing(run.id)
        deadline = time.monotonic() + grace
        await self._pre_stop(container, grace)
        if (left := deadline - time.monotonic()) > 0 or grace:
            image = self.host.images.resolve(container.image) if container.image else None
            await self.host.runtime.signal(run.id, containers.stop_signal(container.spec, image))
            await self._until_ended(run, left)
        while run.running:
            await self.host.runtime.signal(run.id, signal.SIGKILL, everyone=True)
            await self._until_ended(run, 5.0)
            if run.running and run.id not in self.host.runtime.owners:
                self.exited(Exit(run.id, 137, 9, logs.now(), lost=True))

    async def _pre_stop(self, container: Container, grace: float) -> None:
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if not hook or grace <= 0:
            return
        try:
            await asyncio.wait_for(self.host.prober.hook(self._target(container), hook), grace)
        except (probes.HookFailure, TimeoutError) as error:
            self._event(
                container, "Warning", "FailedPreStopHook", str(error) or "PreStopHook did not complete in grace period"
            )

    async def _until_ended(self, run: Run, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while run.running and (left := deadline - time.monotonic()) > 0:
            self.wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), min(left, 1.0))

    # Telling

    def _event(self, container: Container, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self.host.event(self.pod, kind, reason, message, container=container.name, role=container.role)

    def view(self) -> View:
        return View(
            pod=self.pod,
            containers=self.containers,
            address=self.address or (self.pod.get("status") or {}).get("podIP", ""),
            host=network.NODE_ADDRESS,
            now=status.seconds(logs.now()),
            sandbox=self.place is not None,
            final=self.final,
            deleting=bool(self.pod["metadata"].get("deletionTimestamp")),
        )

    async def _report(self) -> None:
        """Write the status where it differs from what the API has."""
        wanted = status.pod_status(self.view())
        known = self.pod.get("status") or {}
        if all(known.get(name) == value for name, value in wanted.items()):
            return
        body = {"metadata": {"uid": self.uid}, "status": wanted}
        answer = await self.host.client.patch(
            PODS, self.name, body, self.namespace, kind="strategic", subresource="status", field_manager="kubelet"
        )
        if answer["metadata"]["uid"] == self.uid and _newer(answer, self.pod):
            self.pod = answer


def _newer(one: Object, other: Object) -> bool:
    return int(one["metadata"].get("resourceVersion") or 0) > int(other["metadata"].get("resourceVersion") or 0)


def found_attempt(found: Found) -> int:
    return int(found.labels["attempt"])


def _run_of(found: Found) -> Run:
    run = Run(id=found.id, attempt=found_attempt(found), started_at=found.started_at)
    if found.exit is not None:
        run.exit_code, run.signal, run.finished_at = found.exit.code, found.exit.signal, found.exit.finished_at
        run.reason = "Completed" if found.exit.code == 0 else "Error"
    return run


def _run_from_status(terminated: Object, attempt: int) -> Run:
    return Run(
        id=terminated.get("containerID", "").rpartition("/")[2],
        attempt=max(attempt, 0),
        started_at=terminated.get("startedAt") or "",
        finished_at=terminated.get("finishedAt") or "",
        exit_code=terminated["exitCode"],
        reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
    )


def _moment(stamp: str) -> float:
    return (
        datetime.strptime(status.seconds(stamp), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() if stamp else 0.0
    )


def _since(stamp: str) -> float:
    return time.time() - _moment(stamp)


def _lasted(run: Run) -> float:
    return _moment(run.finished_at) - _moment(run.started_at) if run.started_at and run.reason != "StartError" else 0.0


def _go_seconds(seconds: float) -> str:
    """A duration as Go prints it: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
