"""Looks at the serving pods, the nodes' use and MLflow's runs, as long as somebody looks at the page; a lab nobody watches costs nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from kubeflow_lite import quantity
from kubeflow_lite.dashboard import metrics
from kubeflow_lite.dashboard.metrics import Reading
from kubeflow_lite.dashboard.mirror import Mirror
from kubeflow_lite.dashboard.view import condition
from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, labels, name
from kubeflow_lite.pipelines.mlflow import Run, TrackingError, recent_runs

log = logging.getLogger(__name__)

KEPT = 120
"""Samples in a chart."""
CLASS = "class"
"""The viewers of the whole class's page; other viewers are named by their namespace."""
_SECONDS = {"serving": 1.0, "usage": 5.0, "runs": 5.0}
_PORT = 8000


@dataclass(frozen=True)
class Sample:
    """One second of the service. None where it could not be measured."""

    rate: float
    median: float | None
    p95: float | None
    replicas: int
    cpu: float | None


@dataclass(frozen=True)
class Runs:
    """The runs of one MLflow server, or why it gives none: a status, an error, the setting that is missing."""

    runs: tuple[Run, ...] = ()
    problem: str = ""


class Sampler:
    """`samples`, `usage` (by node) and `runs` (by viewer) are what was seen last; the mirror is bumped when they change."""

    def __init__(self, client: Client, mirror: Mirror, *, serving: str, tracking: str) -> None:
        self._client = client
        self._mirror = mirror
        self._serving = serving
        self._tracking = tracking
        self._viewers: Counter[str] = Counter()
        self._arrived = asyncio.Event()
        self._readings: dict[str, Reading] = {}
        self._read_at = 0.0
        self._cpu: float | None = None
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.usage: dict[str, Object] = {}
        self.runs: dict[str, Runs] = {}

    @contextmanager
    def viewing(self, what: str) -> Iterator[None]:
        """Somebody looks at `what` meanwhile."""
        self._viewers[what] += 1
        self._arrived.set()
        self._arrived = asyncio.Event()
        try:
            yield
        finally:
            self._viewers[what] -= 1
            if not self._viewers[what]:
                del self._viewers[what]

    async def run(self) -> None:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._every(_SECONDS["serving"], lambda: self._sample(session), (CLASS,)))
            tasks.create_task(self._every(_SECONDS["usage"], self._measure, (CLASS,)))
            tasks.create_task(self._every(_SECONDS["runs"], lambda: self._read_runs(session), ()))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]], wanted: Sequence[str]) -> None:
        """`work` while one of `wanted` (anybody, where it is empty) looks."""
        while True:
            arrived = self._arrived
            if not (self._viewers if not wanted else any(one in self._viewers for one in wanted)):
                await arrived.wait()
                continue
            started = time.monotonic()
            try:
                await work()
            except KubeflowError as error:
                log.debug("%s", error)
            pause = max(0.1, seconds - (time.monotonic() - started))
            if wanted:
                await asyncio.sleep(pause)
            else:
                await _either(arrived, pause)

    async def _sample(self, session: aiohttp.ClientSession) -> None:
        pods = [one for one in self._mirror.within("pods", self._serving) if _serves(one)]
        answers = await asyncio.gather(*(_scrape(session, one) for one in pods))
        now = time.monotonic()
        new = {name(pod): reading for pod, reading in zip(pods, answers, strict=True) if reading}
        seconds = now - self._read_at
        seen = metrics.between(self._readings, new, seconds) if self._readings and seconds < 10 else None
        self._readings, self._read_at = new, now
        if seen:
            self.samples.append(Sample(seen.rate, seen.median, seen.p95, len(pods), self._cpu if pods else None))
            self._mirror.bump()

    async def _measure(self) -> None:
        nodes, pods = await asyncio.gather(
            self._client.list("metrics.k8s.io/v1beta1/nodes"),
            self._client.list("metrics.k8s.io/v1beta1/pods", self._serving),
        )
        self.usage = {name(one): one.get("usage") or {} for one in nodes.items}
        known = {name(one): one for one in self._mirror.within("pods", self._serving) if _serves(one)}
        measured = [one for one in pods.items if name(one) in known]
        used = (_cores((box.get("usage") or {}).get("cpu")) for one in measured for box in one["containers"])
        asked = sum(_requested(known[name(one)]) for one in measured)
        self._cpu = metrics.utilization(used, asked)
        self._mirror.bump()

    async def _read_runs(self, session: aiohttp.ClientSession) -> None:
        viewers = list(self._viewers)
        found = await asyncio.gather(*(_runs(session, self._address(one)) for one in viewers))
        fresh = dict(zip(viewers, found, strict=True))
        if fresh != {key: self.runs.get(key) for key in fresh}:
            self.runs.update(fresh)
            self._mirror.bump()

    def _address(self, viewer: str) -> str:
        return self._tracking if viewer == CLASS else f"http://mlflow-server.{viewer}.svc.cluster.local:5000"


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _serves(pod: Object) -> bool:
    return labels(pod).get("app") == "iris-serving" and condition(pod, "Ready").get("status") == "True"


async def _scrape(session: aiohttp.ClientSession, pod: Object) -> Reading | None:
    address = str((pod.get("status") or {}).get("podIP") or "")
    host = f"[{address}]" if ":" in address else address
    ports = [one.get("containerPort") for box in pod["spec"]["containers"] for one in box.get("ports") or []]
    try:
        async with session.get(f"http://{host}:{ports[0] if ports else _PORT}/metrics") as answer:
            return metrics.parse(await answer.text()) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


async def _runs(session: aiohttp.ClientSession, uri: str) -> Runs:
    if not uri:
        return Runs(problem="MLFLOW_TRACKING_URI")
    try:
        return Runs(tuple(await recent_runs(session, uri)))
    except TrackingError as error:
        return Runs(problem=error.why)


def _requested(pod: Object) -> float:
    boxes = pod["spec"]["containers"]
    return sum(_cores(((box.get("resources") or {}).get("requests") or {}).get("cpu")) for box in boxes)


def _cores(amount: str | None) -> float:
    return float(quantity.parse(amount)) if amount else 0.0
