"""Sends requests when they are due, whatever became of the ones before (an open loop): a service that stalls is seen to stall.

Connections are kept, as any HTTP client keeps them, and given up after LIFE seconds: a Service spreads connections over pods, not requests, so
a client that never reconnects would never meet a new pod.

A request is asked again where the connection ended before the first byte of an answer, as HTTP clients do where repeating does no harm: on a kept
connection nobody can know that the other side is about to close it. How often that was needed is counted. Everything else that is not
an answer of 200 is a failure: a timeout, an error, half an answer, nobody there in ATTEMPTS tries.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.load.samples import Answer, Samples
from lab.messages import t

LIFE, TIMEOUT, ATTEMPTS = 2.0, 5.0, 4
CONNECTIONS = 64
_TICK = 0.004


@dataclass(frozen=True)
class Target:
    """Where to, and the bodies to send, one after the other."""

    host: str
    port: int
    bodies: Sequence[bytes]

    def request(self, number: int) -> bytes:
        body = self.bodies[number % len(self.bodies)]
        head = f"POST /predict HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


class Unanswered(Exception):
    """The connection ended before an answer began."""


class Failed(Exception):
    """It is certain that this request failed; the message says how."""


class Connection:
    """One kept connection, opened when it is needed."""

    def __init__(self, target: Target, clock: Callable[[], float]) -> None:
        self.target, self.clock = target, clock
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.until = 0.0

    async def ask(self, request: bytes) -> dict[str, str]:
        """The answer's headers. Raises Unanswered or Failed."""
        if self.streams and self.clock() > self.until:
            self.close()
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection(self.target.host, self.target.port)
                self.until = self.clock() + LIFE * random.uniform(0.5, 1.5)
            reader, writer = self.streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            self.close()
            raise Failed(t("no HTTP")) from None
        except asyncio.IncompleteReadError as error:
            self.close()
            raise (Failed(t("half an answer")) if error.partial else Unanswered) from None
        except OSError:
            self.close()
            raise Unanswered from None
        return await self._rest(reader, head)

    async def _rest(self, reader: asyncio.StreamReader, head: bytes) -> dict[str, str]:
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            await reader.readexactly(int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, OSError, ValueError):
            self.close()
            raise Failed(t("half an answer")) from None
        if headers.get("connection", "").lower() == "close":
            self.close()
        if " 200 " not in f"{status} ":
            raise Failed(" ".join(status.split()[1:]) or t("no HTTP"))
        return headers

    def close(self) -> None:
        if self.streams:
            self.streams[1].close()
        self.streams = None


class Client:
    """Sends at `rate(t)` requests a second until told to stop; `t` counts from the moment this is made, on a running loop."""

    def __init__(self, target: Target, rate: Callable[[float], float], samples: Samples) -> None:
        self.target, self.rate, self.samples = target, rate, samples
        self.due: asyncio.Queue[float] = asyncio.Queue()
        self.started = asyncio.get_running_loop().time()
        self.number = 0
        self.patience = 2 * TIMEOUT

    def now(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self.started

    async def run(self, stop: asyncio.Event) -> None:
        """Ends when `stop` is set and every request due until then has its answer, or has failed."""
        connections = [Connection(self.target, self.now) for _ in range(CONNECTIONS)]
        workers = [asyncio.create_task(self._work(connection)) for connection in connections]
        try:
            await self._schedule(stop)
            await self._finish()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for connection in connections:
                connection.close()

    async def _schedule(self, stop: asyncio.Event) -> None:
        """Put every request's moment in the queue when it has come."""
        next_due = 0.0
        while not stop.is_set():
            now = self.now()
            while next_due <= now:
                self.samples.at(next_due).sent += 1
                self.due.put_nowait(next_due)
                next_due += 1 / max(self.rate(next_due), 0.1)
            await asyncio.sleep(_TICK)

    async def _finish(self) -> None:
        """Wait for what is under way; what could not even be sent by then has failed."""
        try:
            async with asyncio.timeout(self.patience):
                await self.due.join()
        except TimeoutError:
            while not self.due.empty():
                self.samples.failed(
                    self.due.get_nowait(), t("never sent: more than the service, or this client, can take")
                )

    async def _work(self, connection: Connection) -> None:
        while True:
            due = await self.due.get()
            try:
                await self._one(connection, due)
            finally:
                self.due.task_done()

    async def _one(self, connection: Connection, due: float) -> None:
        self.number += 1
        request = self.target.request(self.number)
        try:
            async with asyncio.timeout(TIMEOUT):
                headers, retried = await self._persist(connection, request)
        except TimeoutError:
            connection.close()
            self.samples.failed(due, t("no answer in {timeout:g} s", timeout=TIMEOUT))
        except Failed as error:
            self.samples.failed(due, str(error))
        except asyncio.CancelledError:
            self.samples.failed(due, t("no answer by the end of the load"))
            raise
        else:
            who = headers.get("x-release", "?"), headers.get("x-served-by", "?")
            self.samples.answered(due, Answer(self.now() - due, *who, retried=retried))

    async def _persist(self, connection: Connection, request: bytes) -> tuple[dict[str, str], int]:
        for attempt in range(ATTEMPTS):
            try:
                return await connection.ask(request), attempt
            except Unanswered:
                await asyncio.sleep(0.05 * attempt)
        raise Failed(t("nobody answered in {attempts} tries", attempts=ATTEMPTS))
