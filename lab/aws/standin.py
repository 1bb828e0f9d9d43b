"""The `standin` provider: awssim (ministack behind the lab's own layers) as a background process. Needs no Docker and no account."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from lab import kubeconfig
from lab.aws import routes
from lab.aws.base import Capabilities, Keys
from lab.clusters.base import Finding
from lab.errors import AwsError, LabError
from lab.host import ports
from lab.host.files import write_private
from lab.host.processes import Daemon
from lab.messages import mark, t
from lab.settings import ROOT, Settings
from lab.tenancy import users

CAPABILITIES = Capabilities(enforces_iam=True, keeps_data=True, has_ecr=True, has_eks=True)


@dataclass(frozen=True)
class StandIn:
    settings: Settings
    name: str = "standin"
    capabilities: Capabilities = CAPABILITIES

    @property
    def daemon(self) -> Daemon:
        return Daemon("awssim", self.settings.state)

    def folder(self) -> Path:
        return self.settings.state / "aws"

    def endpoint(self, service: str = "s3") -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self.settings.standin_port

    def routes(self) -> dict[str, str]:
        return routes.variables(self.settings)

    def question(self) -> str | None:
        return None

    def agree(self) -> None: ...

    def start(self, address: str = "127.0.0.1") -> str | None:
        eks = self._cluster()
        if self.daemon.pid() is not None and self.running():
            return t("already running")
        self.daemon.stop()
        if not ports.is_free(self.port):
            self.stop()  # perhaps one that the last `up` did not live to note
        ports.require_free(self.port, t("the AWS stand-in"), *self._setting)
        self.folder().mkdir(parents=True, exist_ok=True)
        addresses = ",".join(dict.fromkeys(("127.0.0.1", address)))
        options = ["--address", addresses, "--state", str(self.folder()), "--port", str(self.port)]
        self.daemon.start([sys.executable, "-m", "awssim", "serve", *options, *eks], environ=ports.environment(ROOT))
        self.daemon.wait(
            self.running, seconds=90
        )  # one that fails ends, and is told at once; a busy machine only takes longer
        return self.endpoint()

    def _cluster(self) -> list[str]:
        """What `aws eks update-kubeconfig` is told: address and authority of whichever cluster the lab is on, as its own kubeconfig has them."""
        try:
            found = kubeconfig.read([self.settings.state / "kubeconfig"])
            authority = found.authority
        except LabError:  # not there yet, or not to be used: `up` says which, where it needs it
            return ["--eks-endpoint", f"https://127.0.0.1:{self.settings.ports.api}"]
        path = self.folder() / "eks-ca.crt"  # read when it is asked for: a cluster that was made anew has another
        write_private(path, authority)
        return ["--eks-endpoint", found.server, "--eks-ca", str(path)]

    @property
    def _setting(self) -> tuple[str, str]:
        """The key and the variable that move it."""
        own = self.port == self.settings.ports.aws
        return ("ports.aws", "LAB_PORTS_AWS") if own else ("ports.ecr", "LAB_PORTS_ECR")

    def running(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint()}/_awssim/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def root(self) -> Keys:
        try:
            found = json.loads((self.folder() / "root.json").read_text())
            return Keys(found["access_key_id"], found["secret_access_key"])
        except (OSError, ValueError, KeyError):
            raise AwsError(
                t("no root key in {path}", path=self.folder() / "root.json"), t("is the lab up? ./inv up")
            ) from None

    def keys(self, user: str) -> Keys | None:
        return users.read_keys(self.settings, user)

    def stop(self) -> bool:
        """Whether a pid file knows of it or not: it is found by its folder too."""
        from lab.clusters import leftovers

        return self.daemon.stop() or leftovers.end_servers("awssim", self.folder())

    def delete(self) -> None:
        self.stop()
        ports.remove_tree(self.folder())

    def diagnose(self) -> list[Finding]:
        free = ports.is_free(self.port) or self.running()
        seen = t(
            "port {port} is {state}", port=self.port, state=t("free or ours") if free else t("taken by another program")
        )
        cure = t("end what listens there, or set {setting}", setting=self._setting[1])
        return [Finding(free, mark("AWS stand-in port"), seen, "" if free else cure)]
