"""pods/log: what a container wrote, from its log files; followed until that run of the container ends."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kubesim.api.request import Request, Response, integer
from kubesim.api.streams import find
from kubesim.api.streams.find import Target
from kubesim.errors import BadRequest, Cause, Invalid
from kubesim.node import logs
from kubesim.node.status import Run
from kubesim.resources import Resource

if TYPE_CHECKING:
    from kubesim.api.app import Server

_POLL_SECONDS = 0.1
_BATCH = 256 * 1024


@dataclass(frozen=True)
class Options:
    """PodLogOptions. `since` is RFC 3339 text, compared as text: all times are UTC and of one form."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: str = ""
    tail: int | None = None
    limit: int | None = None
    stream: str = ""


async def handle(server: Server, request: Request, resource: Resource) -> Response:
    options = parse(request)
    target = find.target(server, request)
    path = _file(target, options)
    run = target.container.run
    return Response(
        body=_lines(path, options, run if options.follow and not options.previous else None), content_type="text/plain"
    )


def parse(request: Request) -> Options:
    """The query's PodLogOptions. Raises BadRequest and Invalid with Kubernetes's words."""
    query = request.query
    tail, limit, seconds = (integer(query, name) for name in ("tailLines", "limitBytes", "sinceSeconds"))
    causes = []
    if tail is not None and tail < 0:
        causes.append(
            Cause("FieldValueInvalid", f"Invalid value: {tail}: must be greater than or equal to 0", "tailLines")
        )
    if limit is not None and limit < 1:
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {limit}: must be greater than 0", "limitBytes"))
    if seconds is not None and seconds < 1:
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {seconds}: must be greater than 0", "sinceSeconds"))
    if seconds is not None and query.get("sinceTime"):
        causes.append(
            Cause("FieldValueForbidden", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified", "")
        )
    if causes:
        text = "; ".join(f"{cause.field or '[]'}: {cause.message}" for cause in causes)
        raise Invalid(
            f'PodLogOptions "{request.info.name}" is invalid: {text}',
            details={"name": request.info.name, "kind": "PodLogOptions"},
            causes=causes,
        )
    return Options(
        follow=find.flag(request, "follow"),
        previous=find.flag(request, "previous"),
        timestamps=find.flag(request, "timestamps"),
        since=_since(seconds, query.get("sinceTime", "")),
        tail=tail,
        limit=limit,
        stream={"Stdout": "stdout", "Stderr": "stderr"}.get(query.get("stream", ""), ""),
    )


def _since(seconds: int | None, moment: str) -> str:
    if seconds is not None:
        return datetime.fromtimestamp(time.time() - min(seconds, 10**9), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    if not moment:
        return ""
    try:
        parsed = datetime.fromisoformat(moment.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise BadRequest(f'parsing time "{moment[:64]}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
    return parsed.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def _file(target: Target, options: Options) -> Path:
    container, pod = target.container, target.pod["metadata"]["name"]
    path = target.worker.log_file(container, previous=options.previous)
    if path is not None:
        return path
    if options.previous:
        raise BadRequest(f'previous terminated container "{container.name}" in pod "{pod}" not found')
    initializing = container.role == "main" and any(
        one.role == "init" and not one.succeeded for one in target.worker.containers
    )
    reason = container.waiting[0] or ("PodInitializing" if initializing else "ContainerCreating")
    verb = (
        "trying and failing to pull image"
        if reason in ("ErrImagePull", "ImagePullBackOff")
        else f"waiting to start: {reason}"
    )
    raise BadRequest(f'container "{container.name}" in pod "{pod}" is {verb}')


async def _lines(path: Path, options: Options, run: Run | None) -> AsyncIterator[bytes]:
    """The body, piece by piece; `run` is followed while it lives."""
    left, printer = options.limit, _Printer(options)
    async for records in _records(path, options, run):
        data = b"".join(printer.show(line) for line in records)
        if left is not None:
            data = data[:left]
            left -= len(data)
        if data:
            yield data
        if left == 0:
            return


class _Printer:
    """Records to output; a record that continues a line gets no time of its own."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.fresh = True

    def show(self, line: logs.Line) -> bytes:
        if line.time < self.options.since or (self.options.stream and line.stream != self.options.stream):
            return b""
        stamp = f"{line.time} ".encode() if self.options.timestamps and self.fresh else b""
        self.fresh = line.text.endswith(b"\n")
        return stamp + line.text


async def _records(path: Path, options: Options, run: Run | None) -> AsyncIterator[list[logs.Line]]:
    reader = _Reader(path)
    try:
        if options.tail is not None:
            yield await asyncio.to_thread(reader.last, options.tail, options)
        while True:
            ended = run is None or not run.running
            while records := reader.next():
                yield records
                await asyncio.sleep(0)
            if ended:
                return
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        reader.close()


class _Reader:
    """Reads a log across its rotations, oldest file first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: deque[BinaryIO] = deque(file.open("rb") for file in logs.files(path))
        self.rest = b""

    def next(self) -> list[logs.Line]:
        """The next records; none where nothing more was written."""
        while True:
            if not self.waiting:
                return []
            data = self.waiting[0].read(_BATCH)
            if data:
                *records, self.rest = (self.rest + data).split(b"\n")
                if lines := list(_parsed(records)):
                    return lines
                continue
            if not self._advance():
                return []

    def _advance(self) -> bool:
        """Go on to the next file, where this one is complete."""
        if len(self.waiting) > 1:
            self.waiting.popleft().close()
            return True
        try:
            fresh = self.path.open("rb")
        except OSError:
            return False
        if _same(fresh, self.waiting[0]):
            fresh.close()
            return False
        self.waiting.popleft().close()
        self.waiting.append(fresh)
        return True

    def last(self, count: int, options: Options) -> list[logs.Line]:
        """Everything up to now, its last `count` lines kept."""
        kept: deque[list[logs.Line]] = deque(maxlen=count) if count else deque(maxlen=0)
        whole = True
        while lines := self.next():
            for line in lines:
                if options.stream and line.stream != options.stream:
                    continue
                if whole:
                    kept.append([line])
                elif kept:
                    kept[-1].append(line)
                whole = line.text.endswith(b"\n")
        return [line for group in kept for line in group]

    def close(self) -> None:
        for file in self.waiting:
            file.close()


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.sameopenfile(one.fileno(), other.fileno())


def _parsed(records: list[bytes]) -> Iterator[logs.Line]:
    for record in records:
        try:
            yield logs.parse(record)
        except ValueError:
            continue
