"""The `sim` provider: kubesim as a background process. Needs Python on Linux and nothing else."""

from __future__ import annotations

import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubesim import lock
from lab.clusters.base import Capabilities, Finding, Image, Own
from lab.errors import LabError
from lab.host import ports, shell
from lab.host.processes import Daemon
from lab.messages import mark, t
from lab.settings import ROOT, Settings

CAPABILITIES = Capabilities(
    runs_images_as="processes",
    builds_with_docker=False,
    keeps_tenants_apart=mark("RBAC, quota and IAM; not hostile code: pods are processes of this user"),
    host_address="127.0.0.1",
    owned=True,
)


@dataclass(frozen=True)
class Sim(Own):
    settings: Settings
    name: str = "sim"
    capabilities: Capabilities = CAPABILITIES

    @property
    def state(self) -> Path:
        return self.settings.state / "cluster"

    @property
    def daemon(self) -> Daemon:
        return Daemon("kubesim", self.settings.state)

    def _kubesim(self, command: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "kubesim", command, "--state", str(self.state), *options]

    def create(self) -> str | None:
        if self.daemon.pid() is not None and self.running():
            return t("already running")
        self.daemon.stop()
        if lock.holder(self.state) is not None:  # `up` was killed before it noted which process it had started
            shell.run(self._kubesim("stop", "--keep-containers"), environ=ports.environment(ROOT))
        self._require_ports()
        self.state.mkdir(parents=True, exist_ok=True)
        webhook = f"http://127.0.0.1:{self.settings.standin_port}/_awssim/eks/token-review"
        options = ["--port", str(self.settings.ports.api), "--authentication-token-webhook-url", webhook]
        self.daemon.start(self._kubesim("serve", *options), environ=ports.environment(ROOT))
        self.daemon.wait(
            self.running, seconds=90
        )  # one that fails ends, and is told at once; a busy machine only takes longer
        return f"https://127.0.0.1:{self.settings.ports.api}"

    def _require_ports(self) -> None:
        """The API's port is free, and the node ports are free or served by this cluster's proxy, which outlives a killed server."""
        wanted = self.settings.ports
        ports.require_free(wanted.api, t("the Kubernetes API"), "ports.api", "LAB_PORTS_API")
        for key in ("mlflow", "serving", "dashboard", "pipelines"):
            port, variable = getattr(wanted, key), f"LAB_PORTS_{key.upper()}"
            ports.require_free(port, t("the node port of {key}", key=key), f"ports.{key}", variable, ours=self.state)

    def load_images(self, images: Sequence[Image]) -> str | None:
        from kubesim.node import images as store

        for image in images:
            try:
                store.build(self.state, image.context, tag=image.tag, file=image.dockerfile)
            except store.BuildError as error:
                raise LabError(
                    t("image {tag}: {why}", tag=image.tag, why=error), t("see {path}", path=image.dockerfile)
                ) from None
        return t("{images} images", images=len(images))

    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    def running(self) -> bool:
        """Asks the port of the settings and checks the answer against the CA in the lab's folder: another cluster there is not ours."""
        if not self.kubeconfig().exists():
            return False
        try:
            trust = ssl.create_default_context(cafile=str(self.state / "ca.crt"))
            address = f"https://127.0.0.1:{self.settings.ports.api}/readyz"
            with urllib.request.urlopen(address, timeout=2, context=trust) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError, ssl.SSLError):
            return False

    def stop(self) -> bool:
        running = self.daemon.pid() is not None
        shell.run(self._kubesim("stop"), environ=ports.environment(ROOT))
        return self.daemon.stop() or running

    def delete(self) -> None:
        self.stop()
        ports.remove_tree(self.state)

    def diagnose(self) -> list[Finding]:
        free = ports.is_free(self.settings.ports.api) or self.running()
        cure = t("end what listens there, or set LAB_PORTS_API")
        seen = t(
            "port {api} is {state}",
            api=self.settings.ports.api,
            state=t("free or ours") if free else t("taken by another program"),
        )
        return [Finding(free, mark("Kubernetes API port"), seen, "" if free else cure)]
