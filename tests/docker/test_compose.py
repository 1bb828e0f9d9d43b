"""docker-compose.localstack.yml as Docker's own compose reads it; no engine is asked."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from lab.aws.localstack import COMPOSE, PINNED, compose_command
from lab.errors import ToolMissing

pytestmark = pytest.mark.docker


def config(*options: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    try:
        command = compose_command()
    except ToolMissing as error:
        pytest.skip(error.message)
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **(environ or {})}
    call = [*command, "-p", "test", "-f", str(COMPOSE), *options, "config"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=clean)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


def published(service: dict[str, Any]) -> list[str]:
    """Addresses and ports on this host, in the words of old and of new compose."""
    ports = service["ports"]
    return [
        port.rpartition(":")[0] if isinstance(port, str) else f"{port['host_ip']}:{port['published']}" for port in ports
    ]


def test_it_is_valid_and_listens_on_loopback() -> None:
    localstack = config()["services"]["localstack"]
    assert localstack["image"] == PINNED
    assert published(localstack) == ["127.0.0.1:4566", "127.0.0.2:4566"]
    assert localstack["environment"]["SERVICES"] == "s3,sts,iam"


def test_the_labs_ports_and_image_go_in() -> None:
    environ = {"LOCALSTACK_PORT": "21104", "LOCALSTACK_NODES": "127.0.0.9", "LOCALSTACK_IMAGE": "mirror/localstack:1"}
    localstack = config(environ=environ)["services"]["localstack"]
    assert (localstack["image"], published(localstack)) == (
        "mirror/localstack:1",
        ["127.0.0.1:21104", "127.0.0.9:21104"],
    )


def test_the_stand_in_beside_it_is_read_only_and_unprivileged() -> None:
    services = config("--profile", "standin")["services"]
    assert services["awssim"]["read_only"] is True
    assert services["awssim"]["cap_drop"] == ["ALL"]
    assert published(services["awssim"]) == ["127.0.0.1:4567"]
