"""PostgreSQL, the AWS stand-in and MLflow's server, each as its own process on free ports: what training and serving really talk to.

One stack per test run, however many folders use it: importing MLflow costs seconds.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
import pytest
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "mlops-training-shared"
REGION: Literal["ap-northeast-2"] = "ap-northeast-2"
PASSWORD = "of-a-test"


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(
    argv: list[str], env: Mapping[str, str], log: Path, *, cwd: Path = ROOT, stop: int = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the background; stopped with `stop`, killed when it does not end."""
    with log.open("ab") as output:
        child = subprocess.Popen(argv, env={**os.environ, **env}, cwd=cwd, stdout=output, stderr=output)
    try:
        yield child
    finally:
        child.send_signal(stop)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def answers(url: str, child: subprocess.Popen[bytes], log: Path, *, seconds: float = 180) -> None:
    """Wait until a URL answers 200; fail with the log when the program ends first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if child.poll() is not None:
                break
            time.sleep(0.05)
    pytest.fail(f"{url} does not answer: {log.read_text()[-2000:]}")


@contextmanager
def connect(
    port: int, *, user: str = "postgres", password: str = PASSWORD, database: str = "postgres"
) -> Iterator[Connection]:
    """A connection over a socket of ours: pg8000 leaves its own open when the server refuses it."""
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        yield Connection(user, database=database, password=password, sock=wire, ssl_context=False)


def accepts(port: int, child: subprocess.Popen[bytes], log: Path, *, seconds: float = 120) -> None:
    """Wait until PostgreSQL is past its start-up (it takes connections earlier, and refuses them)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with connect(port):
                return
        except (InterfaceError, DatabaseError, OSError):
            time.sleep(0.02)
    pytest.fail(f"port {port} does not answer: {log.read_text()[-2000:]}")


def postgres_environment(data: Path, port: int) -> dict[str, str]:
    return {"PGDATA": str(data), "POSTGRES_PASSWORD": PASSWORD, "POD_IP": "127.0.0.1", "PGPORT": str(port)}


@contextmanager
def postgres(folder: Path, port: int, *, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """PostgreSQL by the image's own entrypoint, ready for connections."""
    argv = [sys.executable, str(ROOT / "images/postgres/entrypoint.py")]
    log = folder / "postgres.log"
    settings = postgres_environment(folder / "pgdata", port) | dict(env or {})
    with process(argv, settings, log, stop=signal.SIGINT) as child:
        accepts(port, child, log)
        yield child


@contextmanager
def aws(folder: Path, port: int) -> Iterator[dict[str, str]]:
    """The AWS stand-in with one bucket; yields what its clients need in their environment."""
    argv = [sys.executable, "-m", "awssim", "serve", "--state", str(folder / "aws"), "--port", str(port)]
    log = folder / "aws.log"
    with process(argv, {}, log) as child:
        answers(f"http://127.0.0.1:{port}/_awssim/health", child, log)
        root = json.loads((folder / "aws" / "root.json").read_text())
        env = {
            "AWS_ACCESS_KEY_ID": root["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": root["secret_access_key"],
            "AWS_DEFAULT_REGION": REGION,
            "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        s3(env).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield env


def s3(env: Mapping[str, str]) -> S3Client:
    """An S3 client for the stand-in."""
    return boto3.client(
        "s3",
        endpoint_url=env["MLFLOW_S3_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def tracking_environment(database: str, port: int) -> dict[str, str]:
    return {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ARTIFACT_ROOT": f"s3://{BUCKET}/mlflow-artifacts",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "127.*,mlflow-server,mlflow-server:*,mlflow-server.*",
        "POD_IP": "127.0.0.1",
        "PORT": str(port),
        "PGSSLMODE": "disable",
    }


@contextmanager
def tracking(folder: Path, port: int, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m tracking`, healthy."""
    log = folder / "mlflow.log"
    argv = [sys.executable, "-W", "ignore", "-m", "tracking"]
    with process(argv, env, log, cwd=ROOT / "images/mlflow") as child:
        answers(f"http://127.0.0.1:{port}/health", child, log)
        yield child


def databases(port: int, names: Mapping[str, str], *, gone: str = "") -> subprocess.CompletedProcess[str]:
    """Run the Job to its end."""
    env = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "POSTGRES_PASSWORD": PASSWORD, "PGSSLMODE": "disable"}
    env |= {f"DATABASE_{name}": password for name, password in names.items()} | {"DATABASES_GONE": gone}
    argv = [sys.executable, "-W", "ignore", "-m", "tracking.databases"]
    return subprocess.run(
        argv, env={**os.environ, **env}, cwd=ROOT / "images/mlflow", capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class Stack:
    """The running parts. `env` is what a client of MLflow and S3 needs; `mlflow` its process, for tests that stop it."""

    folder: Path
    database: str
    postgres_port: int
    tracking_port: int
    env: dict[str, str]

    @property
    def tracking_uri(self) -> str:
        return self.env["MLFLOW_TRACKING_URI"]


@contextmanager
def _start(folder: Path) -> Iterator[Stack]:
    with ExitStack() as parts:
        pg_port, aws_port, port = free_port(), free_port(), free_port()
        parts.enter_context(postgres(folder, pg_port))
        env = parts.enter_context(aws(folder, aws_port))
        made = databases(pg_port, {"mlflow_shared": PASSWORD})
        assert made.returncode == 0, made.stderr
        database = f"postgresql+pg8000://mlflow_shared:{PASSWORD}@127.0.0.1:{pg_port}/mlflow_shared"
        parts.enter_context(tracking(folder, port, env | tracking_environment(database, port)))
        env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
        yield Stack(folder=folder, database=database, postgres_port=pg_port, tracking_port=port, env=env)


_shared: list[tuple[Stack, ExitStack]] = []
_users = 0


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The run's one stack; the last folder to end stops it."""
    global _users
    if not _shared:
        keeper = ExitStack()
        _shared.append((keeper.enter_context(_start(tmp_path_factory.mktemp("stack"))), keeper))
    _users += 1
    yield _shared[0][0]
    _users -= 1
    if _users == 0:
        _shared.pop()[1].close()
