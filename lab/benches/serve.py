"""`invoke bench serve`: the iris service beside what else serves scikit-learn models, one forest, one load generator, one run.

Every server is one worker process on one core, the generator (`lab.benches.wire`) on another; where there is only one core they share it, and
the table says so. Each peer runs in an environment of its own, made once from pinned packages under the lab's state. A peer that cannot be
installed or started is a row that says why.

A machine that does other things slows all of them: the best of ROUNDS short rounds counts, and requests per second of processor time stand beside
requests per second, for those do not depend on what else runs. The floor is a server that answers the same bytes to everything: what it takes is the
generator's, the kernel's and the machine's, and no server's figures can be better.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lab.benches.environments import environment
from lab.benches.rows import Row
from lab.benches.servers import FLOOR, ROW, SERVERS, Files, Server, free_port
from lab.errors import LabError
from lab.messages import mark, t
from lab.messages.cells import right, width
from lab.settings import ROOT
from lab.world import World

TREES, ROWS, ROUNDS, SECONDS, START = 200, 10_000, 3, 2.0, 90.0
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Result:
    """What was measured of one; `problem` where nothing could be."""

    name: str
    figures: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


def serve(world: World) -> list[Row]:
    """Print the comparison; the rows are what the project promises of its own service."""
    with tempfile.TemporaryDirectory(prefix="mlops-lab-bench-") as folder:
        results = compare(world.settings.state, Path(folder))
    print("", *table(results), t("one worker each, {trees} trees, {cores}", trees=TREES, cores=_cores()), sep="\n")
    return promised(results)


def promised(results: Sequence[Result]) -> list[Row]:
    """Ours against the aims, and against the best of the peers."""
    ours = results[0].figures
    if not ours:
        return []
    peers = [result.figures["rps@8"] for result in results[1:] if result.figures and "batch" in result.figures]
    empty = [result.figures["rps@8"] for result in results if result.name.startswith("empty") and result.figures]
    floor = [result.figures["p99@1"] for result in results if result.name == FLOOR and result.figures]
    rows = [
        Row(t("requests/s at 8 connections"), ours["rps@8"], "/s", ">= 4000"),
        Row(t("p50 at 1 connection"), ours["p50@1"], "ms", "<= 0.6"),
        Row(t("p99 at 1 connection"), ours["p99@1"], "ms", "<= 3"),
        Row(t("a batch of {rows} rows", rows=ROWS), ours["batch"], "ms", "<= 25"),
        Row(t("memory"), ours["memory"], "MB", "<= 120"),
        Row(t("ready after its start"), ours["ready"], "s", "<= 1.5"),
    ]
    if floor:
        rows.insert(3, Row(t("of it the generator's and the machine's (the floor)"), floor[0], "ms"))
    if peers:
        rows.append(Row(t("times the best peer's requests/s"), ours["rps@8"] / max(peers), "x", ">= 30"))
    if empty:
        rows.append(Row(t("of an empty FastAPI route's requests/s"), 100 * ours["rps@8"] / empty[0], "%", ">= 80"))
    return rows


def _cores() -> str:
    if len(os.sched_getaffinity(0)) == 1:
        return t("server and load generator on the only core")
    return t("server on one core, load generator on another")


def compare(state: Path, folder: Path, *, only: str = "") -> list[Result]:
    """Measure every server, one after the other; `state` keeps the environments, `folder` is for this run."""
    files = forest(folder)
    return [_measured(server, state, folder, files) for server in SERVERS if only in server.name]


def _measured(server: Server, state: Path, folder: Path, files: Files) -> Result:
    print(f"  {server.name} ...", flush=True)
    try:
        bin_ = environment(server.packages, state / "bench")
        with _running(server, bin_, files, folder) as (port, process, seconds):
            return Result(server.name, {"ready": seconds, **_figures(server, port, process, folder)})
    except LabError as error:
        return Result(server.name, problem=error.message.splitlines()[0])


def _figures(server: Server, port: int, process: psutil.Process, folder: Path) -> dict[str, float]:
    one, many = folder / "one.json", folder / "many.json"
    one.write_text(json.dumps(server.body([ROW])))
    figures: dict[str, float] = {}
    ask(port, server.path, one, connections=1, seconds=0.5)
    for connections in (1, 8):
        before = _processor(process)
        rounds = [ask(port, server.path, one, connections=connections, seconds=SECONDS) for _ in range(ROUNDS)]
        used = _processor(process) - before
        figures |= {f"{key}@{connections}": pick(found[key] for found in rounds) for key, pick in _PICKED.items()}
        figures[f"per cpu@{connections}"] = sum(found["requests"] for found in rounds) / max(used, 1e-3)
    if server.answers_batches:
        many.write_text(json.dumps(server.body(rows(ROWS))))
        found = [ask(port, server.batch_path or server.path, many, connections=1, seconds=1.0) for _ in range(ROUNDS)]
        figures["batch"] = min(one["p50"] for one in found)
    return figures | {"memory": _memory(process)}


_PICKED: dict[str, Callable[[Iterator[float]], float]] = {"rps": max, "p50": min, "p99": min}


def ask(port: int, path: str, body: Path, *, connections: int, seconds: float) -> dict[str, float]:
    """One measurement, by the generator in a process of its own. Raises LabError in the server's words."""
    argv = [sys.executable, "-m", "lab.benches.wire", str(port), path, str(body)]
    argv += ["--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(_pinned(argv, 0), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{path}: {done.stderr.strip()[-300:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def _running(server: Server, bin_: Path, files: Files, folder: Path) -> Iterator[tuple[int, psutil.Process, float]]:
    """The server, ready: its port, its first process, and the seconds from its start until it was."""
    port, log = free_port(), folder / f"{server.name.split()[0]}.log"
    environ = {**os.environ, **server.environment(files, port), "PATH": f"{bin_}:{os.environ['PATH']}"}
    started = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(
            _pinned(server.command(bin_, files, port), -1),
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process = psutil.Process(child.pid)
    try:
        _wait(f"http://127.0.0.1:{port}{server.ready}", child, log)
        yield port, process, time.monotonic() - started
    finally:
        _end(process)
        child.wait()


def _pinned(argv: Sequence[str], which: int) -> list[str]:
    """On the first (0) or the last (-1) core this process may use."""
    core = sorted(os.sched_getaffinity(0))[which]
    pin = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execvp(sys.argv[2], sys.argv[2:])"
    return [sys.executable, "-c", pin, str(core), *argv]


def _wait(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with _opener.open(url, timeout=2):
                return
        except (OSError, ValueError):
            time.sleep(0.01)
    lines = log.read_text(errors="replace").strip().splitlines() or [t("no output")]
    raise LabError(t("did not get ready: {why}", why=lines[-1][:200]), t("the whole log: {log}", log=log))


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _end(process: psutil.Process) -> None:
    tree = _tree(process)
    for one in tree:
        try:
            one.terminate()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(tree, timeout=5)
    for one in alive:
        one.kill()


def _processor(process: psutil.Process) -> float:
    """Seconds of processor time of a server and its children."""
    return float(sum(times.user + times.system for one in _tree(process) for times in [one.cpu_times()]))


def _memory(process: psutil.Process) -> float:
    """MB resident, of a server and its children; what they share counts for each."""
    return float(sum(one.memory_info().rss for one in _tree(process))) / 1e6


def rows(number: int) -> list[list[float]]:
    """Rows all over the range of iris, always the same ones."""
    import random

    random_ = random.Random(1)
    ranges = ((4.3, 7.9), (2.0, 4.4), (1.0, 6.9), (0.1, 2.5))
    return [[round(random_.uniform(low, high), 1) for low, high in ranges] for _ in range(number)]


def forest(folder: Path) -> Files:
    """Train the course's forest and write it down in every form, in a process of its own: the bench itself stays small."""
    files = Files(folder / "cache", folder / "forest.joblib", folder / "mlflow")
    program = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "lab.benches.forest",
        str(TREES),
        str(files.cache),
        str(files.joblib),
        str(files.mlflow),
    ]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(
            t("the forest could not be trained: {why}", why=done.stderr.strip()[-500:]), "./inv test -k training"
        )
    return files


HEAD = (
    mark("requests/s at 1"),
    mark("at 8"),
    mark("p50 ms at 1"),
    mark("p99 ms at 1"),
    mark("p50 at 8"),
    mark("p99 at 8"),
    mark("per CPU s"),
    mark("batch ms"),
    mark("MB"),
    mark("ready s"),
)
_KEYS = ("rps@1", "rps@8", "p50@1", "p99@1", "p50@8", "p99@8", "per cpu@8", "batch", "memory", "ready")


def table(results: Sequence[Result]) -> list[str]:
    """A line for each, widest figures aligned."""
    lines = [f"{'':<26}" + "".join(right(t(title), _width(title)) for title in HEAD)]
    for result in results:
        figures = "".join(
            f"{_shown(result.figures.get(key)):>{_width(title)}}" for key, title in zip(_KEYS, HEAD, strict=True)
        )
        lines.append(f"{result.name:<26}" + (f"  {result.problem}" if result.problem else figures))
    return lines


def _width(title: str) -> int:
    return max(len(title), width(t(title)), 7) + 2


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
