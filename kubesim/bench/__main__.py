"""How fast an API server answers: the rows that a real kube-apiserver was measured by.

    python -m kubesim.bench                                 a server of its own on a fresh state directory; one minute
    python -m kubesim.bench --kubeconfig FILE --times 1     any cluster: everything is done in two namespaces, removed at the end

Every row is measured twice: with so many objects in the store, and with ten times as many. CPU is the server's, per request: where the machine
is busy, it is closer to what a row costs than the time is. The last column is what kube-apiserver 1.36 with etcd (no fsync) did on the same two
cores. "start" is from the start of the process, on an empty state directory, until /readyz answers ok; its modules are compiled before, as
those of any program are that has run once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from kubesim import launch
from kubesim.bench.client import target
from kubesim.bench.measure import Bench, Row
from kubesim.bench.own import Own, folder, server

MEMORY = 5000
"""Objects at which memory is told."""

KUBERNETES = {
    "start": "7 s",
    "creates/s, 1 client": "542 (p50 1.45 ms)",
    "creates/s, 8 clients": "1,114",
    "gets/s, 1 client": "1,037 (p50 0.81 ms)",
    "list of them all": "19 ms (2,502 objects)",
    "write to the last of 50 watchers": "6 ms (p50)",
    f"memory with {MEMORY:,} ConfigMaps": "680 MB (with its controllers and etcd)",
}


async def ours(arguments: argparse.Namespace) -> None:
    with folder() as state:
        async with server(state) as own:
            bench = Bench(own.where, seconds=arguments.seconds, watchers=arguments.watchers, cpu=own.cpu)
            for objects in sizes(arguments):
                await bench.fill(objects)
                found = [own.start("start")] if objects == arguments.objects else []
                arguments.show(objects, found + await bench.rows())
        async with server(state) as own:
            arguments.show(bench.stored, [own.start("start again"), _memory(own, bench.stored)])
    # On a server of its own: what the rows above wrote is stored too.
    with folder() as state:
        async with server(state) as own:
            bench = Bench(own.where, seconds=arguments.seconds, watchers=arguments.watchers)
            await bench.fill(MEMORY)
            arguments.show(MEMORY, [_memory(own, MEMORY)])


def _memory(own: Own, objects: int) -> Row:
    return Row(f"memory with {objects:,} ConfigMaps", f"{own.memory():.0f} MB")


async def theirs(arguments: argparse.Namespace) -> None:
    bench = Bench(target(arguments.kubeconfig), seconds=arguments.seconds, watchers=arguments.watchers)
    try:
        for objects in sizes(arguments):
            await bench.fill(objects)
            arguments.show(objects, await bench.rows())
    finally:
        await bench.clear()


def sizes(arguments: argparse.Namespace) -> list[int]:
    return sorted({arguments.objects, arguments.objects * arguments.times})


def show(objects: int, rows: Sequence[Row]) -> None:
    print(f"\n{f'with {objects:,} ConfigMaps':<36} {'':<24} {'CPU':>9}   kube-apiserver 1.36")
    for row in rows:
        cpu = "" if row.cpu is None else f"{row.cpu:,.0f} µs" if row.cpu < 10_000 else f"{row.cpu / 1000:,.0f} ms"
        print(f"{row.name:<36} {row.value:<24} {cpu:>9}   {KUBERNETES.get(row.name, '')}".rstrip(), flush=True)


def show_json(objects: int, rows: Sequence[Row]) -> None:
    """One object a line, for a program that reads along; CPU in microseconds."""
    for row in rows:
        told = {"objects": objects, **asdict(row), "kubernetes": KUBERNETES.get(row.name, "")}
        print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m kubesim.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kubeconfig", type=Path, help="a cluster that runs already, instead of a server of the bench's own"
    )
    parser.add_argument("--seconds", type=float, default=3, help="how long each rate is measured")
    parser.add_argument("--objects", type=int, default=2500, help="ConfigMaps in the store")
    parser.add_argument(
        "--times", type=int, default=10, help="how many times as many in the second table; 1: no second table"
    )
    parser.add_argument("--watchers", type=int, default=50)
    parser.add_argument(
        "--json", dest="show", action="store_const", const=show_json, default=show, help="a JSON object a row"
    )
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=launch.loop) as runner:
        runner.run(theirs(arguments) if arguments.kubeconfig else ours(arguments))


if __name__ == "__main__":
    main()
