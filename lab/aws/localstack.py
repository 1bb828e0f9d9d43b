"""The `localstack` provider: LocalStack in a container for S3, the lab's stand-in beside it for what needs to know who asks.

The container is docker-compose.localstack.yml's, started with the user's own `docker compose`. LocalStack's free edition keeps nothing when it stops:
a container that was started again since `up` is another one (`running` is False then), so that the next `up` makes the buckets again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.aws import routes
from lab.aws.base import Capabilities, Keys
from lab.aws.standin import StandIn
from lab.clusters import supply
from lab.clusters.base import Finding
from lab.errors import AwsError, LabError, ToolMissing
from lab.host import ports, shell
from lab.host.files import write_private
from lab.messages import mark, t
from lab.settings import ROOT, Settings

COMPOSE = ROOT / "docker-compose.localstack.yml"
PROJECT = "mlops-lab-aws"
IMAGE = "localstack/localstack:4.14.0"
PINNED = f"{IMAGE}@sha256:3ebc37595918b8accb852f8048fef2aff047d465167edd655528065b07bc364a"
OTHER = "127.0.0.2"
"""Where nobody else looks: compose publishes a port at two addresses, and without nodes there is one to give."""
PAID = "localstack/localstack:latest"

FREE = Capabilities(
    enforces_iam=False,
    keeps_data=False,
    has_ecr=True,
    has_eks=True,
    shortcomings=mark(
        "LocalStack enforces no IAM (tenants can read each other's buckets) and keeps nothing over a restart; --aws standin does both"
    ),
    images=(PINNED,),
)


@dataclass(frozen=True)
class LocalStack:
    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    name: str = "localstack"
    capabilities: Capabilities = FREE

    @property
    def beside(self) -> StandIn:
        """Has IAM, STS, EKS and the registry, and the tenants' keys."""
        return StandIn(self.settings)

    def endpoint(self, service: str = "s3") -> str:
        return routes.endpoint(self.settings, service, self.environ)

    def routes(self) -> dict[str, str]:
        return routes.variables(self.settings, self.environ)

    def question(self) -> str | None:
        return None

    def agree(self) -> None: ...

    def start(self, address: str = "127.0.0.1") -> str | None:
        """Both; the image is pulled where it is not there. Raises AwsError with the container's last words where LocalStack gives up."""
        if self._session() is None:
            ports.require_free(self.settings.ports.aws, "LocalStack", "ports.aws", "LAB_PORTS_AWS")
            self._bring_up(address)
        elif self.running():
            return t("already running")
        write_private(self._record, self._session() or "")
        self.beside.start(address)
        return t("LocalStack at {here}, the stand-in at {other}", here=self.endpoint(), other=self.endpoint("sts"))

    def _bring_up(self, address: str) -> None:
        """What compose had made before it failed is removed again."""
        self._take_from_bundle()
        try:
            self._compose("up", "--detach", "localstack", address=address)
            self._wait()
        except AwsError:
            with contextlib.suppress(AwsError):
                self._compose("down", "--volumes", "--timeout", "5")
            raise

    def _take_from_bundle(self) -> None:
        """Without a network: a bundle made with --aws localstack has the image, by its tag alone."""
        shelved = supply.shelf(self.settings, IMAGE)
        if shelved is not None and not image_here():
            supply.docker("load", "-i", str(shelved))

    def running(self) -> bool:
        """Both answer, and LocalStack is the one that `start` left here: another one has none of its buckets."""
        try:
            known = self._record.read_text()
        except OSError:
            return False
        return self._session() == known and self.beside.running()

    def root(self) -> Keys:
        return self.beside.root()

    def keys(self, user: str) -> Keys | None:
        return self.beside.keys(user)

    def folder(self) -> Path:
        return self.beside.folder()

    def stop(self) -> bool:
        """The container goes with what it held: LocalStack keeps nothing anyway."""
        beside, here = self.beside.stop(), self._session() is not None
        if here:
            self._compose("down", "--volumes", "--timeout", "5")
        self._record.unlink(missing_ok=True)
        return beside or here

    def delete(self) -> None:
        self.stop()
        self.beside.delete()

    def diagnose(self) -> list[Finding]:
        return [*self.beside.diagnose(), _engine(), _compose_found()]

    @property
    def _record(self) -> Path:
        return self.settings.state / "run" / "localstack.session"

    def _session(self) -> str | None:
        """Which start of LocalStack answers; None where none does, or where it is not ready for S3."""
        base = f"http://127.0.0.1:{self.settings.ports.aws}/_localstack"
        health, info = _fetch(f"{base}/health"), _fetch(f"{base}/info")
        ready = health is not None and health.get("services", {}).get("s3") in ("available", "running")
        return str((info or {}).get("session_id", "unknown")) if ready else None

    def _wait(self, seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while self._session() is None:
            if time.monotonic() > deadline or not self._compose("ps", "--quiet", "localstack").strip():
                raise AwsError(
                    t("LocalStack did not get ready:\n{tail}", tail=self._tail()),
                    t("./inv up --aws standin needs no Docker"),
                )
            time.sleep(0.5)

    def _tail(self) -> str:
        lines = self._compose("logs", "--tail", "8", "localstack").strip().splitlines()
        return "\n".join(f"    {line}" for line in lines) or t("    (no log)")

    def _compose(self, *command: str, address: str = "127.0.0.1") -> str:
        chosen = PAID if self.environ.get(routes.TOKEN) else image_here() or PINNED
        where = {
            "LOCALSTACK_PORT": str(self.settings.ports.aws),
            "LOCALSTACK_NODES": OTHER if address == "127.0.0.1" else address,
        }
        environ = {"LOCALSTACK_IMAGE": self.environ.get("LOCALSTACK_IMAGE", chosen), **where}
        call = [*compose_command(), "-p", PROJECT, "-f", str(COMPOSE), *command]
        try:
            return shell.run(call, environ=environ, seconds=900)
        except ToolMissing:
            raise
        except LabError as error:
            raise AwsError(
                t("LocalStack cannot be started: {why}", why=error.message), t("./inv up --aws standin needs no Docker")
            ) from None


def image_here() -> str:
    """The free image as this engine has it: by its digest, or by its tag alone (docker load loses digests); empty where it has neither.

    Never asks a registry, and waits a second at most, so that an offline machine decides at once.
    """
    from docker.errors import DockerException

    from lab.build import engine

    try:
        with contextlib.closing(engine.connect(timeout=1)) as client:
            found = client.images.list(IMAGE.partition(":")[0])
            known = {name for item in found for name in (*item.tags, *item.attrs.get("RepoDigests", ()))}
    except (ToolMissing, DockerException, OSError):
        return ""
    pinned = PINNED.replace(":4.14.0@", "@")
    return PINNED if pinned in known else IMAGE if IMAGE in known else ""


def compose_command() -> list[str]:
    """`docker compose`, or the older program of its own; raises ToolMissing."""
    docker = shutil.which("docker")
    if docker and _works([docker, "compose", "version"]):
        return [docker, "compose"]
    if older := shutil.which("docker-compose"):
        return [older]
    raise ToolMissing(
        "docker compose is not installed", t("install it, or ./inv up --aws standin, which needs no Docker")
    )


def _works(command: list[str]) -> bool:
    try:
        shell.run(command, seconds=10)
    except LabError:
        return False
    return True


def _fetch(url: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _engine() -> Finding:
    from lab.build import engine

    good = engine.answers()
    return Finding(good, "Docker", t("answers") if good else t("no engine answers"), "" if good else t(engine.HINT))


def _compose_found() -> Finding:
    try:
        return Finding(True, "docker compose", " ".join(compose_command()))
    except ToolMissing as error:
        return Finding(False, "docker compose", error.message, error.hint)


Probe = Callable[[], str]


def worth_it(here: Probe = image_here) -> tuple[bool, str]:
    """Whether `auto` takes LocalStack, and why. Only where its image lies on this machine: nothing is pulled that nobody asked for."""
    from lab.build import engine

    if here():
        return True, t("Docker has its image; no IAM, nothing kept: --aws standin has both")
    if engine.answers():
        return False, t("Docker has no {image}; --aws localstack pulls it", image=IMAGE)
    return False, t("needs no Docker and no account")
