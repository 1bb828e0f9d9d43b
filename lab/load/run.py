"""One load from its first request to its report: the client, the watch and the events on one loop, a line a second for the one who looks on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lab.errors import LabError
from lab.kube import Cluster
from lab.load import watch
from lab.load.client import Client, Target
from lab.load.events import Event, Happened
from lab.load.patterns import Pattern
from lab.load.samples import Samples, total
from lab.load.watch import Look
from lab.messages import t
from lab.serving import client

PATIENCE = 240.0
"""How long the load goes on as a trickle, at most, until the replicas are down again: stabilization windows, and a round or two."""
_RECENT = 3


@dataclass
class Load:
    """A load that ran, for reports. `looks` and `happened` grow while it runs."""

    pattern: Pattern
    samples: Samples
    looks: list[Look] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)

    @property
    def replicas(self) -> tuple[int, int, int]:
        """Ready ones at the start, at most, and at the end."""
        counts = [look.ready for look in self.looks] or [0]
        return counts[0], max(counts), counts[-1]


class Say(Protocol):
    """Where words go: a line that the next one replaces, and one that stays."""

    def live(self, line: str) -> None: ...

    def stay(self, line: str) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What to send where, what happens meanwhile, and whether to stay until the replicas are down again."""

    target: Target
    pattern: Pattern
    events: Sequence[Event] = ()
    settle: bool = True


def run(cluster: Cluster, plan: Plan, say: Say) -> Load:
    """Ctrl-C ends it early; what was measured until then is the result."""
    import uvloop

    load = Load(plan.pattern, Samples())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(cluster, plan, load, say))
        except KeyboardInterrupt:
            say.stay(t("stopped early"))
    return load


async def _run(cluster: Cluster, plan: Plan, load: Load, say: Say) -> None:
    stop, client = asyncio.Event(), Client(plan.target, plan.pattern.rate, load.samples)
    sending = asyncio.create_task(client.run(stop))
    beside = [
        asyncio.create_task(work)
        for work in (
            watch.follow(cluster, client.now, load.looks),
            _happen(plan.events, client, load, say),
            _tell(client, load, say),
        )
    ]
    try:
        await _until_over(plan, client, load, beside)
    finally:
        stop.set()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await sending


async def _until_over(plan: Plan, client: Client, load: Load, beside: Sequence[asyncio.Task[None]]) -> None:
    """The pattern's time, then until nothing is scaled any more. What fails beside it fails here."""
    while not _over(plan, client.now(), load):
        for task in beside:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        await asyncio.sleep(0.1)


def _over(plan: Plan, now: float, load: Load) -> bool:
    if now < plan.pattern.seconds:
        return False
    if not plan.settle or now > plan.pattern.seconds + PATIENCE or not load.looks:
        return True
    last = load.looks[-1]
    return last.ready == last.wanted == last.low


async def _happen(planned: Sequence[Event], client: Client, load: Load, say: Say) -> None:
    for event in planned:
        await asyncio.sleep(max(0.0, event.time - client.now()))
        time = client.now()
        try:
            what = await asyncio.to_thread(event.action)
        except LabError as error:
            what = error.message
        load.happened.append(Happened(time, what))
        say.stay(f"{time:4.0f} s  {what}")


async def _tell(client: Client, load: Load, say: Say) -> None:
    while True:
        await asyncio.sleep(1)
        say.live(line(load, client.now()))


def line(load: Load, now: float) -> str:
    """How it stands: the last seconds' requests, and the last look at the cluster."""
    upto = max(0, int(now))
    recent = load.samples.seconds[max(0, upto - _RECENT) : upto]
    stretch, whole = total(recent), total(load.samples.seconds)
    parts = [
        f"{now:4.0f} s",
        f"{stretch.rate:5.0f}/s",
        f"p50 {milliseconds(stretch.p50)}  p99 {milliseconds(stretch.p99)}",
        t("failed {failed}", failed=whole.failed)
        + (t(", asked again {retried}", retried=whole.retried) if whole.retried else ""),
    ]
    if load.looks:
        parts.append(_pods(load.looks[-1]))
    releases = sum((second.releases for second in recent), start=type(recent[0].releases)()) if recent else {}
    return "  |  ".join([*parts, *shares(releases)])


def _pods(look: Look) -> str:
    scaling = f" -> {look.wanted}" if look.wanted != look.ready else ""
    cpu = "?" if look.cpu is None else look.cpu
    return t(
        "pods {ready}{scaling}  CPU {cpu} % of {target} %",
        ready=look.ready,
        scaling=scaling,
        cpu=cpu,
        target=look.target,
    )


def shares(releases: Mapping[str, int]) -> list[str]:
    """["v1 75 %  v2 25 %"], nothing where nobody answered."""
    whole = sum(releases.values())
    return ["  ".join(f"{name} {count / whole:.0%}" for name, count in sorted(releases.items()))] if whole else []


def milliseconds(value: float | None) -> str:
    return "   - ms" if value is None else f"{value:4.1f} ms"


def target(port: int, *, number: int = 200, seed: int = 1) -> Target:
    """The service behind a port of this machine, and rows within what its model was trained on. Raises LabError where it has no model yet."""
    model = client.model(f"http://127.0.0.1:{port}")
    random_ = random.Random(seed)
    try:
        ranges = [feature["trained_on"] for feature in model["features"]]
        rows = [[round(random_.uniform(low, high), 2) for low, high in ranges] for _ in range(number)]
    except (LookupError, TypeError, ValueError) as error:
        raise LabError(t("what answers at port {port} is not the iris service", port=port), "./inv doctor") from error
    return Target("127.0.0.1", port, [client.body(row) for row in rows])
