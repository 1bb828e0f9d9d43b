"""`invoke bench aws`: the AWS stand-in beside plain ministack, each a process of its own, the same calls in turn.

Both keep objects on disk (ministack with S3_PERSIST=1). Times are a client's; memory is the server's largest resident set.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import psutil
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from lab.benches.rows import Row
from lab.settings import ROOT
from lab.world import World

REGION = "ap-northeast-2"
BUCKET = "bench"
SMALL = 300
KEYS = 2500
_LARGE = int(os.environ.get("AWS_BENCH_MB", "1024")) << 20


@dataclass
class Server:
    """A running stand-in, and the most memory it has been seen to use."""

    name: str
    process: psutil.Process
    url: str
    keys: tuple[str, str]
    started: float
    peak: int = 0

    def s3(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.keys[0], aws_secret_access_key=self.keys[1],
            config=Config(retries={"max_attempts": 1}),
        )  # fmt: skip

    def watch(self) -> None:
        """Until the process has gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            while True:
                self.peak = max(self.peak, self.process.memory_info().rss)
                time.sleep(0.05)


def aws(world: World) -> list[Row]:
    """Start, memory, small objects, one large object each way with a probe beside it, and a long listing."""
    with tempfile.TemporaryDirectory(prefix="bench-aws-") as folder, contextlib.ExitStack() as stack:
        base = Path(folder)
        servers = [stack.enter_context(start(base)) for start in (standin, ministack)]
        large = base / "large"
        _fill(large, _LARGE)
        rows = [row for server in servers for row in _beginning(server)]
        for measure in (_small, _upload, _download, _listing):
            rows += [row for server in servers for row in measure(server, large)]
        return rows + [Row(f"{server.name}: peak memory", server.peak / 1e6, "MB") for server in servers]


@contextlib.contextmanager
def standin(base: Path) -> Iterator[Server]:
    state = base / "awssim"
    command = [sys.executable, "-m", "awssim", "serve", "--state", str(state), "--port", "{port}"]
    with _running("awssim", command, {}, "/_awssim/health") as (process, url, started):
        root = json.loads((state / "root.json").read_text())
        yield Server("awssim", process, url, (root["access_key_id"], root["secret_access_key"]), started)


@contextlib.contextmanager
def ministack(base: Path) -> Iterator[Server]:
    environment = {
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": "{port}", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "LOG_LEVEL": "ERROR",
        "SERVICES": "s3,sts,iam,ecr,eks", "S3_PERSIST": "1", "S3_DATA_DIR": str(base / "ministack"),
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("ministack"))]
    with _running("ministack", command, environment, "/_ministack/health") as (process, url, started):
        yield Server("ministack", process, url, ("test", "test"), started)


@contextlib.contextmanager
def _running(
    name: str, command: list[str], environment: dict[str, str], health: str
) -> Iterator[tuple[psutil.Process, str, float]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [word.replace("{port}", port) for word in command]
    more = {key: value.replace("{port}", port) for key, value in environment.items()}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **more}, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url + health, process, name)
        yield psutil.Process(process.pid), url, time.perf_counter() - began
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], name: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start") from None
            time.sleep(0.01)
        else:
            return


def _fill(path: Path, size: int) -> None:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)


def _beginning(server: Server) -> list[Row]:
    threading.Thread(target=server.watch, daemon=True).start()
    server.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    idle = server.process.memory_info().rss / 1e6
    return [Row(f"{server.name}: start", server.started, "s"), Row(f"{server.name}: memory, idle", idle, "MB")]


def _small(server: Server, large: Path) -> list[Row]:
    s3 = server.s3()

    def put(number: int) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"s/{number}", Body=b"x" * 1000)

    def get(number: int) -> None:
        s3.get_object(Bucket=BUCKET, Key=f"s/{number}")["Body"].read()

    puts = [_timed(partial(put, number)) for number in range(SMALL)]
    gets = [_timed(partial(get, number)) for number in range(SMALL)]
    return [
        Row(f"{server.name}: put 1 KB, median", statistics.median(puts) * 1000, "ms"),
        Row(f"{server.name}: get 1 KB, median", statistics.median(gets) * 1000, "ms"),
    ]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _upload(server: Server, large: Path) -> list[Row]:
    config = TransferConfig(multipart_chunksize=8 << 20)
    return _probed(server, "up", lambda: server.s3().upload_file(str(large), BUCKET, "large", Config=config))


def _download(server: Server, large: Path) -> list[Row]:
    back = large.with_name("back")
    rows = _probed(server, "down", lambda: server.s3().download_file(BUCKET, "large", str(back)))
    back.unlink()
    return rows


def _probed(server: Server, way: str, transfer: Callable[[], object]) -> list[Row]:
    """Time a transfer, its server's CPU, and what another client waits for a small object meanwhile."""
    waits: list[float] = []
    stop = threading.Event()

    def probe() -> None:
        # The health page needs no signature: the probe's own work is small, for client and server share this machine.
        path = "/_awssim/health" if server.name == "awssim" else "/_ministack/health"
        while not stop.wait(0.02):
            waits.append(_timed(lambda: urllib.request.urlopen(server.url + path, timeout=120).close()))

    thread = threading.Thread(target=probe)
    thread.start()
    before = sum(server.process.cpu_times()[:2])
    seconds = _timed(transfer)
    spent = sum(server.process.cpu_times()[:2]) - before
    stop.set()
    thread.join()
    size = f"{_LARGE >> 20} MB"
    p99 = sorted(waits)[int(len(waits) * 0.99)] * 1000
    return [
        Row(f"{server.name}: {size} {way}", seconds, "s", "5.7" if way == "up" else "3.4"),
        Row(f"{server.name}: {size} {way}, server's CPU", spent, "s"),
        Row(f"{server.name}: others' p99 meanwhile ({way})", p99, "ms", "50"),
    ]


def _listing(server: Server, large: Path) -> list[Row]:
    s3 = server.s3()
    for number in range(KEYS):
        s3.put_object(Bucket=BUCKET, Key=f"목록/{number:05}", Body=b"")
    pages = s3.get_paginator("list_objects_v2")
    found: list[str] = []

    def read() -> None:
        for page in pages.paginate(Bucket=BUCKET, Prefix="목록/"):
            found.extend(item["Key"] for item in page["Contents"])

    seconds = _timed(read)
    if found != [f"목록/{number:05}" for number in range(KEYS)]:
        raise RuntimeError(f"{server.name} listed {len(found)} keys of {KEYS}")
    return [Row(f"{server.name}: list {KEYS} keys", seconds, "s")]


if __name__ == "__main__":
    from typing import cast

    for row in aws(cast(World, None)):
        print(f"{row.name:55} {row.value:9.2f} {row.unit}" + (f"  (aim {row.aim})" if row.aim else ""), flush=True)
