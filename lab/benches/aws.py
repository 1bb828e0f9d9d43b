"""`invoke bench aws`: the AWS stand-in beside its peers, the same calls in turn on the same machine.

Times are a client's; memory is the server's largest resident set. The processor's seconds are the server's; what the client needs for
itself is a row of its own, because both share the machine: over plain HTTP a client hashes all that it sends, and a stand-in that checks
signatures has to hash it again. ``AWS_BENCH_MB`` (1024), ``AWS_BENCH_KEYS`` (1500), ``AWS_BENCH_FILES`` (1000) and ``AWS_BENCH_CALLS``
(300) make it shorter or longer.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from lab.benches import standins
from lab.benches.rows import Row
from lab.benches.standins import REGION, Server
from lab.messages import t
from lab.world import World

Measure = Callable[[Server, Path], list[Row]]
BUCKET = f"bench-{secrets.token_hex(3)}"  # a LocalStack may have another run's
SMALL = int(os.environ.get("AWS_BENCH_CALLS", "300"))
KEYS = int(os.environ.get("AWS_BENCH_KEYS", "1500"))
_LARGE = int(os.environ.get("AWS_BENCH_MB", "1024")) << 20
_FILES = int(os.environ.get("AWS_BENCH_FILES", "1000"))
_SIZE = f"{_LARGE >> 20} MB"
_PARTS = TransferConfig(multipart_chunksize=8 << 20)
_PATIENCE = 90.0  # seconds for the large object both ways, after which a contender is not asked to do it again
_UP, _DOWN, _OTHERS = "5.7", "3.4", "50"


def aws(world: World) -> list[Row]:
    """Start, memory, small objects, a large object each way with a probe beside it, a long listing, many small files.

    A contender that is not there, does not start or fails at something has a row that says so, and the others go on.
    """
    with tempfile.TemporaryDirectory(prefix="bench-aws-") as folder, contextlib.ExitStack() as stack:
        base = Path(folder)
        large = base / "large"
        _fill(large)
        servers, rows = _contenders(stack, base)
        for server in servers:
            rows += _tried(_beginning, server, large)
        rows += _hashing() + _alone(base, large)
        for measure in (_small, _upload, _download, _commands, _listing, _sync):
            for server in servers:
                rows += _tried(measure, server, large)
        return rows + [
            Row(t("{server}: peak memory", server=server.name), server.peak / 1e6, "MB") for server in servers
        ]


def _contenders(stack: contextlib.ExitStack, base: Path) -> tuple[list[Server], list[Row]]:
    """Those that run, and a row for each that does not."""
    servers, rows = [], []
    for name, start in standins.CONTENDERS.items():
        try:
            servers.append(stack.enter_context(start(base)))
        except (OSError, RuntimeError) as error:
            rows.append(_missing(t("{server}: not measured: {reason}", server=name, reason=error)))
    return servers, rows


def _tried(measure: Measure, server: Server, large: Path) -> list[Row]:
    try:
        return measure(server, large)
    except (Boto3Error, BotoCoreError, ClientError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        what = measure.__name__.strip("_")
        return [_missing(t("{server}: {measure} failed: {reason}", server=server.name, measure=what, reason=error))]


def _missing(name: str) -> Row:
    return Row(name, math.nan, "")


def _fill(path: Path) -> None:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(_LARGE >> 20):
            file.write(block)


def _beginning(server: Server, large: Path) -> list[Row]:
    threading.Thread(target=server.watch, daemon=True).start()
    server.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    idle = Row(t("{server}: memory, idle", server=server.name), server.process.memory_info().rss / 1e6, "MB")
    return [Row(t("{server}: start", server=server.name), server.started, "s"), idle] if server.started else [idle]


def _hashing() -> list[Row]:
    """What a processor needs to hash as much as the large object: the least that a client, and a server that checks, can take."""
    rows, block = [], bytes(1 << 20)
    for name in ("sha256", "md5"):
        hasher, before = hashlib.new(name), time.process_time()
        for _ in range(_LARGE >> 20):
            hasher.update(block)
        spent = time.process_time() - before
        rows.append(Row(t("{name} of {size}, one core", name=name, size=_SIZE), spent, "s", cpu=spent))
    return rows


def _alone(base: Path, large: Path) -> list[Row]:
    """The same upload to a server that throws it away: nobody can be faster with this client."""
    with standins.sink(base) as server:
        return _timed_transfer(
            server, "up", lambda: server.s3().upload_file(str(large), BUCKET, "large", Config=_PARTS)
        )


def _small(server: Server, large: Path) -> list[Row]:
    s3 = server.s3()

    def put(number: int) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"s/{number}", Body=b"x" * 1000)

    def get(number: int) -> None:
        s3.get_object(Bucket=BUCKET, Key=f"s/{number}")["Body"].read()

    return [_median(server, f"{name} 1 KB", call) for name, call in (("put", put), ("get", get))]


def _median(server: Server, name: str, call: Callable[[int], None]) -> Row:
    before = server.cpu()
    seconds = [_timed(partial(call, number)) for number in range(SMALL)]
    return Row(
        t("{server}: {name}, median", server=server.name, name=name),
        statistics.median(seconds) * 1000,
        "ms",
        cpu=server.cpu() - before,
    )


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _upload(server: Server, large: Path) -> list[Row]:
    return _probed(server, "up", lambda: server.s3().upload_file(str(large), BUCKET, "large", Config=_PARTS))


def _download(server: Server, large: Path) -> list[Row]:
    back = large.with_name("back")
    rows = _probed(server, "down", lambda: server.s3().download_file(BUCKET, "large", str(back)))
    back.unlink()
    return rows


def _probed(server: Server, way: str, transfer: Callable[[], object]) -> list[Row]:
    """Time a transfer, and what another client waits for a small answer meanwhile."""
    with standins.probe(server) as waits:
        rows = _timed_transfer(server, way, transfer)
    p99 = sorted(waits)[int(len(waits) * 0.99)] * 1000 if waits else math.nan
    return [*rows, Row(t("{server}: others' p99 meanwhile ({way})", server=server.name, way=way), p99, "ms", _OTHERS)]


def _timed_transfer(server: Server, way: str, transfer: Callable[[], object]) -> list[Row]:
    before, own = server.cpu(), _own_cpu()
    seconds = _timed(transfer)
    server.transfers += seconds
    client, spent = _own_cpu() - own, server.cpu() - before
    return [
        Row(f"{server.name}: {_SIZE} {way}", seconds, "s", _UP if way.endswith("up") else _DOWN, spent),
        Row(t("{server}: {size} {way}, the client", server=server.name, size=_SIZE, way=way), client, "s", cpu=client),
    ]


def _own_cpu() -> float:
    """Seconds of processor time of this process and of the commands it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _commands(server: Server, large: Path) -> list[Row]:
    """`aws s3 cp` both ways, where there is a command."""
    if shutil.which("aws") is None:
        return []
    if server.transfers > _PATIENCE:
        return [_missing(t("{server}: aws s3 cp is left out: it has taken {seconds:.0f} s before",
                           server=server.name, seconds=server.transfers))]  # fmt: skip
    back, there = large.with_name("back"), f"s3://{BUCKET}/large"
    rows = _timed_transfer(server, "aws s3 cp up", lambda: _aws(server, "s3", "cp", str(large), there))
    rows += _timed_transfer(server, "aws s3 cp down", lambda: _aws(server, "s3", "cp", there, str(back)))
    back.unlink()
    return rows


def _aws(server: Server, *words: str) -> Sequence[str]:
    done = subprocess.run(
        ["aws", *words], env=server.environment(), capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{server.name}: aws {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def _listing(server: Server, large: Path) -> list[Row]:
    s3 = server.s3()
    names = [f"목록/{number:05}" for number in range(KEYS)]
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
    found: list[str] = []

    def read() -> None:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="목록/"):
            found.extend(item["Key"] for item in page["Contents"])

    before = server.cpu()
    seconds = _timed(read)
    lost = len(set(names) - set(found))
    return [
        Row(t("{server}: list {keys} keys", server=server.name, keys=KEYS), seconds, "s", cpu=server.cpu() - before),
        Row(t("{server}: keys the list leaves out", server=server.name), lost, "", "0"),
    ]


def _sync(server: Server, large: Path) -> list[Row]:
    """`aws s3 sync` of many small files, and again when nothing has changed."""
    if shutil.which("aws") is None or not _FILES:
        return []
    folder = large.with_name("files")
    folder.mkdir(exist_ok=True)
    for number in range(_FILES):
        (folder / f"파일-{number:05}").write_bytes(b"%d" % number)
    rows = []
    for name in ("sync", "sync again"):
        before = server.cpu()
        seconds = _timed(lambda: _aws(server, "s3", "sync", str(folder), f"s3://{BUCKET}/files"))
        title = t("{server}: aws s3 {name}, {files} files", server=server.name, name=name, files=_FILES)
        rows.append(Row(title, seconds, "s", cpu=server.cpu() - before))
    return rows


if __name__ == "__main__":
    from typing import cast

    from lab.benches import rows

    rows.show(aws(cast(World, None)))
