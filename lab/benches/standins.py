"""The stand-ins that are measured, each a process of its own: awssim with and without TLS, plain ministack, LocalStack, and a sink.

ministack keeps objects on disk (S3_PERSIST=1), as awssim does. LocalStack is measured where ``LOCALSTACK_ENDPOINT`` names one that runs
on this machine. The sink throws uploads away: what it takes is the client's own work.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psutil
from botocore.config import Config

from kubesim.pki import Authority
from lab.messages import t
from lab.settings import ROOT

REGION = "ap-northeast-2"


@dataclass
class Server:
    """A running stand-in, and the most memory it has been seen to use."""

    name: str
    process: psutil.Process
    url: str
    keys: tuple[str, str]
    health: str
    started: float = 0.0
    ca: Path | None = None
    peak: int = 0
    transfers: float = 0.0
    """Seconds that large objects have taken so far."""

    def s3(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.keys[0], aws_secret_access_key=self.keys[1],
            verify=str(self.ca) if self.ca else None, config=Config(retries={"max_attempts": 1}),
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """For the AWS command line."""
        named = {
            "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": self.keys[0],
            "AWS_SECRET_ACCESS_KEY": self.keys[1], "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull,
        }  # fmt: skip
        return {**os.environ, **named, **({"AWS_CA_BUNDLE": str(self.ca)} if self.ca else {})}

    def answers(self) -> None:
        """Ask for the health page: it needs no signature, so a probe's own work is small. Raises OSError."""
        context = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        urllib.request.urlopen(self.url + self.health, timeout=120, context=context).close()

    def cpu(self) -> float:
        """Seconds of processor time, with the server's children."""
        every = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(process.cpu_times()[:2]) for process in every))

    def watch(self) -> None:
        """Until the process has gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            while True:
                self.peak = max(self.peak, self.process.memory_info().rss)
                time.sleep(0.05)


@contextlib.contextmanager
def standin(base: Path) -> Iterator[Server]:
    with _awssim(base / "awssim", "awssim", []) as server:
        yield server


@contextlib.contextmanager
def secured(base: Path) -> Iterator[Server]:
    """awssim with a certificate: over TLS, as to AWS itself, clients do not hash what they send."""
    (base / "authority").mkdir()
    authority = Authority.load(base / "authority")
    pair, files = authority.server(), (base / "tls.crt", base / "tls.key")
    for file, text in zip(files, (pair.certificate, pair.key), strict=True):
        file.write_bytes(text)
    options = ["--tls-certificate", str(files[0]), "--tls-key", str(files[1])]
    with _awssim(base / "secured", "awssim, TLS", options, ca=base / "authority" / "ca.crt") as server:
        yield server


@contextlib.contextmanager
def _awssim(state: Path, name: str, options: list[str], *, ca: Path | None = None) -> Iterator[Server]:
    command = [sys.executable, "-m", "awssim", "serve", "--state", str(state), "--port", "{port}", *options]
    with _running(Server(name, psutil.Process(), "", ("", ""), "/_awssim/health", ca=ca), command, {}) as server:
        root = json.loads((state / "root.json").read_text())
        server.keys = (root["access_key_id"], root["secret_access_key"])
        yield server


@contextlib.contextmanager
def ministack(base: Path) -> Iterator[Server]:
    environment = {
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": "{port}", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "LOG_LEVEL": "ERROR",
        "SERVICES": "s3,sts,iam,ecr,eks", "S3_PERSIST": "1", "S3_DATA_DIR": str(base / "ministack"),
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("ministack"))]
    server = Server("ministack", psutil.Process(), "", ("test", "test"), "/_ministack/health")
    with _running(server, command, environment) as started:
        yield started


@contextlib.contextmanager
def sink(base: Path) -> Iterator[Server]:
    server = Server("client alone", psutil.Process(), "", ("test", "test"), "/")
    with _running(server, [sys.executable, "-m", "lab.benches.sink", "{port}"], {}) as started:
        yield started


@contextlib.contextmanager
def localstack(base: Path) -> Iterator[Server]:
    """One that runs already, and what listens at its port."""
    url = os.environ.get("LOCALSTACK_ENDPOINT", "")
    if not url:
        raise RuntimeError(t("LOCALSTACK_ENDPOINT names none"))
    port = urlsplit(url).port
    pids = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid
    }
    if not pids:
        raise RuntimeError(t("no process of yours listens at LOCALSTACK_ENDPOINT={url}; start it there", url=url))
    yield Server("LocalStack", psutil.Process(min(pids)), url, ("test", "test"), "/_localstack/health")


@contextlib.contextmanager
def probe(server: Server) -> Iterator[list[float]]:
    """Another client beside: the seconds it waited for each answer are in the list when the block has ended."""
    waits: list[float] = []
    command = [sys.executable, "-m", "lab.benches.probe", server.url + server.health, str(server.ca or "")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        yield waits
        process.stdin.close()
        waits += json.loads(process.stdout.read() or "[]")


@contextlib.contextmanager
def _running(server: Server, command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [word.replace("{port}", port) for word in command]
    more = {key: value.replace("{port}", port) for key, value in environment.items()}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **more}, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server.process, server.url = psutil.Process(process.pid), f"{'https' if server.ca else 'http'}://127.0.0.1:{port}"
    try:
        _wait(server, process)
        server.started = time.perf_counter() - began
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            server.answers()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(t("it did not start")) from None
            time.sleep(0.01)
        else:
            return


CONTENDERS: Mapping[str, Callable[[Path], contextlib.AbstractContextManager[Server]]] = {
    "awssim": standin,
    "awssim, TLS": secured,
    "ministack": ministack,
    "LocalStack": localstack,
}
