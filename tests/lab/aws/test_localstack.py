"""LocalStack's provider against a `docker` that records what it is told, and a LocalStack of this test's own. The stand-in beside it is real."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import settings
from lab.aws import localstack
from lab.aws.localstack import COMPOSE, IMAGE, PINNED, LocalStack
from lab.errors import AwsError, LabError, ToolMissing
from lab.host import ports
from lab.settings import Settings
from tests.lab.test_settings import MINIMAL, write

DOCKER = """\
#!/bin/sh
echo "$LOCALSTACK_IMAGE $LOCALSTACK_NODES:$LOCALSTACK_PORT $*" >> {log}
case "$*" in
    "compose version") exit {compose} ;;
    *" up "*) touch {started}; exit {up} ;;
    *" down"*) rm -f {started} ;;
    *" ps "*) test -e {exits} || echo 5d1b ;;
    *" logs "*) echo "License activation failed! exit code 55" ;;
esac
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Engine:
    """The recording `docker` in `folder`, and what LocalStack answers once `up` was called."""

    folder: Path
    session: str = "first"

    @property
    def calls(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def started(self) -> bool:
        return (self.folder / "started").exists()

    def install(self, *, up: int = 0, compose: int = 0) -> None:
        names = {name: str(self.folder / name) for name in ("log", "started", "exits")}
        script = self.folder / "docker"
        script.write_text(DOCKER.format(up=up, compose=compose, **names))
        script.chmod(0o755)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    (tmp_path / "bin").mkdir()
    made = Engine(tmp_path / "bin")
    made.install()
    monkeypatch.setenv("PATH", f"{made.folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    return made


@pytest.fixture
def lab(tmp_path: Path) -> Settings:
    environ = {"LAB_STATE": str(tmp_path / "lab"), "LAB_AWS": "localstack"}
    environ |= {"LAB_PORTS_AWS": str(free_port()), "LAB_PORTS_ECR": str(free_port())}
    return settings.load(write(tmp_path, MINIMAL), environ)


@pytest.fixture
def provider(lab: Settings, engine: Engine) -> Iterator[LocalStack]:
    """Its LocalStack answers as soon as the recorded `up` was called."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/_localstack/health": {"services": {"s3": "available"}},
                "/_localstack/info": {"session_id": engine.session},
            }
            self.send_response(200 if engine.started else 503)
            self.end_headers()
            self.wfile.write(json.dumps(pages.get(self.path, {})).encode())

        def log_message(self, format: str, *args: Any) -> None: ...

    made = LocalStack(lab, {})
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        moved = lab.model_copy(update={"ports": lab.ports.model_copy(update={"aws": server.server_port})})
        made = LocalStack(moved, {})
        yield made
        made.beside.stop()
        server.shutdown()


@pytest.fixture
def unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's LocalStack holds the port from the beginning, which a container would take at `up`."""
    monkeypatch.setattr(ports, "require_free", lambda *_: None)


@pytest.mark.usefixtures("unbound")
def test_it_starts_both_once_and_stops_both(provider: LocalStack, engine: Engine) -> None:
    assert not provider.running()
    note = provider.start()
    assert note == f"LocalStack at {provider.endpoint('s3')}, the stand-in at {provider.endpoint('ecr')}"
    assert provider.running()
    up = [call for call in engine.calls if " up " in call]
    port = provider.settings.ports.aws
    assert up == [f"{PINNED} 127.0.0.2:{port} compose -p mlops-lab-aws -f {COMPOSE} up --detach localstack"]
    assert provider.start() == "already running"
    assert [call for call in engine.calls if " up " in call] == up
    assert provider.root().access_key_id.startswith("AKIA")
    assert provider.stop()
    assert not provider.running()
    assert not provider.stop()


@pytest.mark.usefixtures("unbound")
def test_it_is_published_where_a_clusters_nodes_find_it_too(provider: LocalStack, engine: Engine) -> None:
    provider.start("127.0.0.3")
    (up,) = [call for call in engine.calls if " up " in call]
    assert up.startswith(f"{PINNED} 127.0.0.3:{provider.settings.ports.aws} ")


@pytest.mark.usefixtures("unbound")
def test_a_localstack_that_started_again_is_not_the_one_that_up_filled(provider: LocalStack, engine: Engine) -> None:
    provider.start()
    engine.session = "second"
    assert not provider.running()
    assert "LocalStack at" in (provider.start() or "")
    assert provider.running()


@pytest.mark.usefixtures("unbound")
def test_its_own_last_words_are_shown_where_it_gives_up(provider: LocalStack, engine: Engine) -> None:
    (engine.folder / "exits").touch()
    engine.install()
    script = engine.folder / "docker"
    script.write_text(script.read_text().replace("touch ", "true "))
    with pytest.raises(AwsError, match="exit code 55") as caught:
        provider.start()
    assert "--aws standin" in caught.value.hint


@pytest.mark.usefixtures("unbound")
def test_an_image_that_cannot_be_pulled_is_one_message(provider: LocalStack, engine: Engine) -> None:
    engine.install(up=18)
    script = engine.folder / "docker"
    script.write_text(script.read_text().replace("touch ", "echo no route to registry >&2; true "))
    with pytest.raises(AwsError, match="no route to registry") as caught:
        provider.start()
    assert "--aws standin" in caught.value.hint


def test_its_port_taken_by_another_is_told_before_anything_starts(provider: LocalStack, engine: Engine) -> None:
    with pytest.raises(LabError, match=f"port {provider.settings.ports.aws} .* wanted by LocalStack"):
        provider.start()
    assert not [call for call in engine.calls if " up " in call]


def test_without_compose_the_message_names_what_needs_no_docker(
    provider: LocalStack, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.install(compose=1)
    monkeypatch.setenv("PATH", str(engine.folder))
    with pytest.raises(ToolMissing, match="docker compose is not installed") as caught:
        localstack.compose_command()
    assert "--aws standin" in caught.value.hint
    findings = {finding.subject: finding for finding in provider.diagnose()}
    assert not findings["docker compose"].good
    assert not findings["Docker"].good


def test_with_a_token_the_current_image_is_used(lab: Settings, engine: Engine) -> None:
    LocalStack(lab, {"LOCALSTACK_AUTH_TOKEN": "ls-x"})._compose("ps")
    assert engine.calls[-1].startswith("localstack/localstack:latest ")
    LocalStack(lab, {"LOCALSTACK_IMAGE": "mirror/localstack:4.14.0"})._compose("ps")
    assert engine.calls[-1].startswith("mirror/localstack:4.14.0 ")


@pytest.mark.usefixtures("engine")
def test_auto_does_not_wait_for_an_engine_that_is_not_there() -> None:
    assert localstack.image_here() == ""
    assert localstack.worth_it() == (False, "needs no Docker and no account")


def test_auto_takes_it_where_its_image_is() -> None:
    assert localstack.worth_it(lambda: IMAGE)[0]


def test_what_it_does_not_do_fits_in_a_line() -> None:
    text = localstack.FREE.shortcomings
    assert "\n" not in text
    assert "no IAM" in text
    assert "nothing over a restart" in text


def test_the_compose_file_is_loopback_pinned_and_without_the_dockers_socket() -> None:
    text = COMPOSE.read_text()
    services = yaml.safe_load(text)["services"]
    assert "docker.sock" not in text.replace("the Docker socket", "")
    assert PINNED in services["localstack"]["image"]
    assert services["localstack"]["ports"] == [
        "127.0.0.1:${LOCALSTACK_PORT:-4566}:4566",
        "${LOCALSTACK_NODES:-127.0.0.2}:${LOCALSTACK_PORT:-4566}:4566",
    ]
    assert services["awssim"]["ports"] == ["127.0.0.1:${AWSSIM_PORT:-4567}:4566"]
    assert services["localstack"]["environment"]["SERVICES"] == "${LOCALSTACK_SERVICES:-s3,sts,iam}"
    for service in services.values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert "no-new-privileges:true" in service["security_opt"]
