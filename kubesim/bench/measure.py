"""The rows: each is measured against a store that already holds so many ConfigMaps, which shows what grows with them.

Objects to read lie in one namespace, objects that are written in another, so that a list is always as long as its name says.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import orjson

from kubesim.bench.client import Client, Target

READ, WRITTEN = "kubesim-bench", "kubesim-bench-writes"
LISTS, WRITES = 10, 40
"""Repetitions of a list, and of a write that watchers wait for."""

SLICE, FEW = 0.2, 10
"""CPU per request is told of the best slice of so many seconds that has so many requests: where the server is disturbed often, by its own
housekeeping or by a busy machine that empties its caches, the mean says how busy the machine is."""

Once = Callable[[Client, int], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """One figure. `cpu` is what a request costs the server in microseconds, where the server is ours to ask."""

    name: str
    value: str
    cpu: float | None = None


class Bench:
    """`cpu` tells the CPU seconds of the server so far; None where it is not ours."""

    def __init__(self, where: Target, *, seconds: float, watchers: int, cpu: Callable[[], float] | None = None) -> None:
        self._where, self._seconds, self._watchers, self._cpu = where, seconds, watchers, cpu
        self._objects = self._runs = self._written = 0

    async def fill(self, objects: int) -> None:
        """Brings the store to so many ConfigMaps."""
        async with self._connected(8) as clients:
            for space in (READ, WRITTEN):
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
                await clients[0].ask("POST", "/api/v1/namespaces", body)
            numbers = iter(range(self._objects, objects))
            await asyncio.gather(*(_create_all(client, numbers) for client in clients))
        self._objects = max(objects, self._objects)

    @property
    def stored(self) -> int:
        """ConfigMaps that are there by now, to be read and written."""
        return self._objects + self._written

    async def clear(self) -> None:
        async with self._connected(1) as (client,):
            for space in (READ, WRITTEN):
                await client.ask("DELETE", f"/api/v1/namespaces/{space}")

    async def rows(self) -> list[Row]:
        objects = self._objects
        self._runs += 1

        def create(client: Client, number: int) -> Awaitable[object]:
            self._written += 1
            return client.ask("POST", path(WRITTEN), config_map(f"w{self._runs}-{number}"))

        def get(client: Client, number: int) -> Awaitable[object]:
            return client.ask("GET", f"{path(READ)}/o-{number % objects}")

        return [
            await self._rate("creates/s, 1 client", 1, create),
            await self._rate("creates/s, 8 clients", 8, create),
            await self._rate("gets/s, 1 client", 1, get),
            await self._rate("gets/s, 8 clients", 8, get),
            await self._list(),
            await self._watch(),
        ]

    async def _rate(self, name: str, count: int, once: Once) -> Row:
        times: list[float] = []
        async with self._connected(count) as clients:
            samples: list[tuple[int, float]] = []
            sampling = asyncio.ensure_future(self._sample(times, samples))
            begin = time.perf_counter()
            until = begin + self._seconds
            await asyncio.gather(*(_repeat(client, at, until, once, times) for at, client in enumerate(clients)))
            rate = len(times) / (time.perf_counter() - begin)
            sampling.cancel()
            samples.append((len(times), self._used()))
        return Row(name, f"{rate:,.0f} (p50 {statistics.median(times) * 1000:.2f} ms)", least(samples))

    async def _sample(self, times: list[float], samples: list[tuple[int, float]]) -> None:
        """How many requests there were, and what the server had used by then, slice by slice."""
        while True:
            samples.append((len(times), self._used()))
            await asyncio.sleep(SLICE)

    async def _list(self) -> Row:
        times = []
        async with self._connected(1) as (client,):
            before = self._used()
            for _ in range(LISTS):
                start = time.perf_counter()
                await client.ask("GET", path(READ))
                times.append(time.perf_counter() - start)
        return Row("list of them all", f"{statistics.median(times) * 1000:.1f} ms (p50)", self._per(before, LISTS))

    async def _watch(self) -> Row:
        """From the moment a write is sent to the moment the last watcher has it."""
        times = []
        async with self._connected(self._watchers + 1) as (writer, *watchers):
            page = orjson.loads(await writer.ask("GET", f"{path(WRITTEN)}?limit=1"))
            for watcher in watchers:
                await watcher.send(
                    "GET", f"{path(WRITTEN)}?watch=1&resourceVersion={page['metadata']['resourceVersion']}"
                )
            before = self._used()
            for number in range(WRITES):
                arrived = [asyncio.ensure_future(watcher.line()) for watcher in watchers]
                start = time.perf_counter()
                await writer.ask("POST", path(WRITTEN), config_map(f"v{self._runs}-{number}"))
                await asyncio.gather(*arrived)
                times.append(time.perf_counter() - start)
            cpu = self._per(before, WRITES)
        return Row(
            f"write to the last of {len(watchers)} watchers", f"{statistics.median(times) * 1000:.1f} ms (p50)", cpu
        )

    def _connected(self, count: int) -> _Clients:
        return _Clients(self._where, count)

    def _used(self) -> float:
        return self._cpu() if self._cpu else 0.0

    def _per(self, before: float, requests: int) -> float | None:
        return (self._cpu() - before) / requests * 1e6 if self._cpu else None


class _Clients:
    """So many connections, closed at the end of the block."""

    def __init__(self, where: Target, count: int) -> None:
        self._where, self._count, self._stack = where, count, AsyncExitStack()

    async def __aenter__(self) -> list[Client]:
        clients = [await Client.connect(self._where) for _ in range(self._count)]
        for client in clients:
            self._stack.callback(client.close)
        return clients

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def least(samples: list[tuple[int, float]]) -> float | None:
    """Microseconds per request in the slice where they were fewest; of all of them where no slice had enough requests. None: not known."""
    slices = [*itertools.pairwise(samples), (samples[0], samples[-1])]
    costs = [(cpu - before) / (count - had) for (had, before), (count, cpu) in slices if count - had >= FEW]
    if not costs:
        costs = [(samples[-1][1] - samples[0][1]) / max(1, samples[-1][0])]
    return min(costs) * 1e6 or None


async def _repeat(client: Client, at: int, until: float, once: Once, times: list[float]) -> None:
    """Until then, and once at least: a machine may be away for longer than that."""
    number = at * 1_000_000
    while (start := time.perf_counter()) < until or number == at * 1_000_000:
        await once(client, number)
        times.append(time.perf_counter() - start)
        number += 1


async def _create_all(client: Client, numbers: Any) -> None:
    for number in numbers:
        await client.ask("POST", path(READ), config_map(f"o-{number}"))


def path(space: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps"


def config_map(name: str) -> dict[str, Any]:
    data = {f"key-{n}": "x" * 40 for n in range(5)}
    metadata = {"name": name, "labels": {"bench": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
