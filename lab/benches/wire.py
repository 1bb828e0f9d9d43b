"""The load generator of the benchmarks: `python -m lab.benches.wire`, one process, raw connections, a request as soon as the last is answered.

It does as little as can be done in Python (some 15 µs a request, so that it is not what is measured) and is the same for every service. Answers
are checked for their status; anything but 200 ends the measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path
from time import perf_counter
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection that asks until the time is over; `latencies` in seconds, in the order of the answers."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request, self.until = request, until
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not derived from it
        self._ask()

    def _ask(self) -> None:
        self.sent = perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received = self.received + data if self.received else data
        if not _whole(self.received):
            return
        now = perf_counter()
        if not self.received.startswith(b"HTTP/1.1 200"):
            self._fail(self.received[:300].decode("latin-1"))
            return
        self.latencies.append(now - self.sent)
        self.received = b""
        if now < self.until:
            self._ask()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was closed after {len(self.latencies)} answers")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


def _whole(received: bytes) -> bool:
    """Whether this is a whole answer, by its Content-Length or its last chunk."""
    head = received.find(_END)
    if head < 0:
        return False
    length = _LENGTH.search(received, 0, head)
    return len(received) >= head + 4 + int(length[1]) if length else received.endswith(b"0\r\n\r\n")


async def measure(port: int, request: bytes, *, connections: int, seconds: float) -> dict[str, float]:
    """Requests/s, and percentiles in ms."""
    loop = asyncio.get_running_loop()
    started = perf_counter()
    made = [
        (await loop.create_connection(lambda: Connection(request, started + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for one in made))
    took = perf_counter() - started
    for one in made:
        one.transport.abort()
    ordered = sorted(latency for one in made for latency in one.latencies)
    return {
        "requests": len(ordered),
        "rps": len(ordered) / took,
        "p50": ordered[len(ordered) // 2] * 1000,
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000,
        "least": ordered[0] * 1000,
    }


def request(port: int, path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.benches.wire")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    import uvloop

    asked = request(given.port, given.path, given.body.read_bytes())
    try:
        found = uvloop.run(measure(given.port, asked, connections=given.connections, seconds=given.seconds))
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
