"""Starting the containers of one pod, and how long to wait where one cannot be started: what goes wrong is in the container's waiting reason."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from datetime import UTC, datetime

from kubesim.node import containers, logs, probes, status
from kubesim.node.containers import Waiting
from kubesim.node.images import Image, InvalidImageName, normalize
from kubesim.node.launch import Launch
from kubesim.node.podstate import PodState
from kubesim.node.status import Container, Run
from kubesim.node.stopping import Stopping
from kubesim.node.wire import RuntimeFailure

log = logging.getLogger(__name__)

BACKOFF_FIRST, BACKOFF_MAX = 10.0, 300.0
IMAGE_CHECK_SECONDS = 1.0
_RUNC = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed"


class Starting:
    """The pod must have its place before anything starts."""

    def __init__(self, pod: PodState, stopping: Stopping) -> None:
        self.pod, self.stopping = pod, stopping

    async def start_or_wait(self, container: Container) -> list[float]:
        """Start a container unless it is in back-off; how long to wait where it is."""
        now = time.monotonic()
        pulling = container.waiting[0] in ("ErrImagePull", "ImagePullBackOff")
        if container.retry_at > now and not (pulling and self._image_is_here(container)):
            return [min(container.retry_at - now, IMAGE_CHECK_SECONDS if pulling else container.retry_at - now)]
        if container.ended and not container.waiting[0] and (wait := self._backoff(container)):
            return [wait]
        if not await self._start(container):
            return [max(container.retry_at - time.monotonic(), 0.05)]
        return []

    def _image_is_here(self, container: Container) -> bool:
        with contextlib.suppress(InvalidImageName):
            return self.pod.host.images.resolve(container.spec["image"]) is not None
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
        where = f"{self.pod.name}_{self.pod.namespace}({self.pod.uid})"
        container.waiting = (
            "CrashLoopBackOff",
            f"back-off {_go_seconds(container.backoff)} restarting failed container={container.name} pod={where}",
        )
        container.retry_at = time.monotonic() + left
        container.backoff = min(container.backoff * 2, BACKOFF_MAX)
        self.pod.event(
            container, "Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {where}"
        )
        return left

    async def _start(self, container: Container) -> bool:
        """One attempt. What goes wrong is in `container.waiting` or in its run."""
        assert self.pod.place is not None
        try:
            image = containers.find_image(self.pod.host, container.spec)
            if container.ended:
                container.restarts += 1
            async with self.pod.host.starts:
                launch = await containers.prepare(self.pod.host, self.pod.pod, container, image, self.pod.place)
        except Waiting as problem:
            if container.ended and problem.reason not in ("ErrImagePull", "ErrImageNeverPull", "InvalidImageName"):
                container.restarts -= 1
            self._cannot_start(container, problem)
            return False
        self._begin(container, image, launch.id)
        self.pod.host.event(
            self.pod.pod,
            "Normal",
            "Pulled",
            f'Container image "{container.spec["image"]}" already present on machine and can be accessed by the pod',
            container=container.name,
            role=container.role,
        )
        self.pod.event(container, "Normal", "Created", "Container created")
        container.starting = True
        try:
            await self._run(container, launch, image)
        finally:
            container.starting = False
        return True

    async def _run(self, container: Container, launch: Launch, image: Image) -> None:
        run = container.run
        assert run is not None
        try:
            started = await self.pod.host.runtime.run(launch, image)
        except RuntimeFailure as error:
            self._did_not_start(container, run, str(error))
            return
        run.started_at = started
        self.pod.event(container, "Normal", "Started", "Container started")
        if run.running:  # what ended at once may be told of before its start is
            await self._after_start(container)

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
            self.pod.host.later(self._erase(run))

    async def _erase(self, run: Run) -> None:
        """Beside the start that it makes room for: after a restart of the lab every container has one to erase."""
        await asyncio.to_thread(shutil.rmtree, self.pod.host.folder / "containers" / run.id, ignore_errors=True)
        await self.pod.host.runtime.forget(run.id)

    def _cannot_start(self, container: Container, problem: Waiting) -> None:
        known, now = container.waiting[0], time.monotonic()
        name = container.spec["image"]
        if problem.reason == "ErrImagePull":
            self._cannot_pull(container, problem.message)
            return
        container.waiting = (problem.reason, problem.message)
        container.retry_at = now + (IMAGE_CHECK_SECONDS if problem.reason != "InvalidImageName" else 10.0)
        if known == problem.reason:
            return
        if problem.reason in ("ErrImageNeverPull", "InvalidImageName"):
            reason = "ErrImageNeverPull" if problem.reason == "ErrImageNeverPull" else "InspectFailed"
            self.pod.event(container, "Warning", reason, problem.message)
            self.pod.event(container, "Warning", "Failed", f"Error: {problem.reason}")
        else:
            self.pod.event(container, "Warning", "Failed", f"Error: {problem.message}")
        log.debug(
            "container %s of %s/%s (%s): %s", container.name, self.pod.namespace, self.pod.name, name, problem.message
        )

    def _cannot_pull(self, container: Container, message: str) -> None:
        name = container.spec["image"]
        if container.waiting[0] == "ErrImagePull":
            container.backoff = min(max(container.backoff * 2, BACKOFF_FIRST), BACKOFF_MAX)
            container.retry_at = time.monotonic() + container.backoff
            container.waiting = ("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {message}')
            self.pod.event(container, "Normal", "BackOff", f'Back-off pulling image "{name}"')
            self.pod.event(container, "Warning", "Failed", "Error: ImagePullBackOff")
            return
        self.pod.event(container, "Normal", "Pulling", f'Pulling image "{name}"')
        self.pod.event(container, "Warning", "Failed", f'Failed to pull image "{name}": {message}')
        self.pod.event(container, "Warning", "Failed", "Error: ErrImagePull")
        container.waiting = ("ErrImagePull", message)
        container.retry_at = time.monotonic() + 2.0

    def _did_not_start(self, container: Container, run: Run, message: str) -> None:
        text = f"{_RUNC}: unable to start container process: error during container init: {message}"
        run.exit_code, run.reason, run.message = 128, "StartError", text
        run.started_at, run.finished_at = "1970-01-01T00:00:00Z", logs.now()
        self.pod.event(container, "Warning", "Failed", f"Error: {text}")
        self.pod.wake.set()

    async def _after_start(self, container: Container) -> None:
        if hook := ((container.spec.get("lifecycle") or {}).get("postStart")):
            try:
                await self.pod.host.prober.hook(self.pod.target(container), hook)
            except probes.HookFailure as error:
                # what the hook printed is not shown, as on Kubernetes: it might be a secret
                self.pod.event(container, "Warning", "FailedPostStartHook", "PostStartHook failed")
                log.info("postStart of %s in %s/%s: %s", container.name, self.pod.namespace, self.pod.name, error)
                self.pod.event(container, "Normal", "Killing", "FailedPostStartHook")
                await self.stopping.one(container, self.pod.grace(), announce=False)
                return
        self.stopping.probing.start(container)


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
