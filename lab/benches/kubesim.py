"""`invoke bench kubesim`: what `python -m kubesim.bench` measures, as a table in the user's language, row by row as it comes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator

from lab.messages import t
from lab.messages.cells import left, right
from lab.said import said


def kubesim() -> int:
    """The benchmark's exit code; what went wrong it has said itself."""
    command = [sys.executable, "-m", "kubesim.bench", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in lines(process.stdout or ()):
            print(line, flush=True)
    return process.returncode


def lines(measured: Iterable[str]) -> Iterator[str]:
    """A head for every number of objects, then its rows."""
    objects = 0
    for row in map(json.loads, measured):
        if row["objects"] != objects:
            objects = row["objects"]
            yield ""
            yield _columns(t("with {count} ConfigMaps", count=f"{objects:,}"), "", "CPU", "kube-apiserver 1.36")
        yield _columns(said(row["name"]), row["value"], _cpu(row["cpu"]), said(row["kubernetes"]))


def _columns(name: str, value: str, cpu: str, kubernetes: str) -> str:
    return f"{left(name, 36)} {left(value, 24)} {right(cpu, 9)}   {kubernetes}".rstrip()


def _cpu(microseconds: float | None) -> str:
    """Of the server, per request."""
    if microseconds is None:
        return ""
    return f"{microseconds:,.0f} µs" if microseconds < 10_000 else f"{microseconds / 1000:,.0f} ms"
