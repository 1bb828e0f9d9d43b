"""The `k3s` provider: a k3s server that the lab runs itself below `STATE/k3s` (as root), or an installed service, which it only uses.

Images reach it as archives in its agent/images folder, which it imports while it runs. Configuration is k8s/k3s.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import tools
from lab.bundle import shelf
from lab.clusters import leftovers, network, render, supply
from lab.clusters.base import Capabilities, Finding, Image, Own, answers
from lab.clusters.current import Current
from lab.errors import LabError
from lab.host import ports
from lab.host.processes import Daemon
from lab.messages import mark, t
from lab.settings import Settings

SERVICE = Path("/etc/rancher/k3s/k3s.yaml")
"""The kubeconfig of an installed service; where it is, a second server would fight it for the node's addresses."""
SERVICE_IMAGES = Path("/var/lib/rancher/k3s/agent/images")
LOGIN = "registry/bin/ecr-login"
FILES = {
    "config.yaml": "k3s/config.yaml",
    "registries.yaml": "k3s/registries.yaml",
    "token-webhook.yaml": "token-webhook.yaml",
    "registry/config.yaml": "k3s/registry.yaml",
    LOGIN: "k3s/ecr-login",
}
AIRGAP = "k3s-airgap-images-*.tar*"
DUMMY_ROUTE = mark(
    "k3s needs a default route, a dummy one will do: sudo ip link add dummy0 type dummy && sudo ip link set dummy0 up && "
    "sudo ip addr add 203.0.113.254/31 dev dummy0 && sudo ip route add default via 203.0.113.255 dev dummy0 metric 1000"
)


@dataclass(frozen=True)
class K3s(Own):
    settings: Settings
    service: Path = SERVICE
    service_images: Path = SERVICE_IMAGES
    name: str = "k3s"

    @property
    def folder(self) -> Path:
        return self.settings.state / "k3s"

    @property
    def installed(self) -> bool:
        return self.service.exists()

    @property
    def guest(self) -> Current:
        """An installed service is somebody's: the lab asks before it changes it, and removes only what it made."""
        return Current(self.settings, source=(self.service,), name="k3s")

    def question(self) -> str | None:
        return self.guest.question() if self.installed else None

    def agree(self) -> None:
        if self.installed:
            self.guest.agree()

    @property
    def daemon(self) -> Daemon:
        return Daemon("k3s", self.settings.state)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            runs_images_as="containers",
            builds_with_docker=True,
            keeps_tenants_apart=t("RBAC, quota, IAM, containers and k3s' own network policies"),
            host_address=network.default() or "127.0.0.1",
            owned=not self.installed,
            tools=("k3s",),
            logins={} if self.installed else {"registry/login.json": "k3s/login.json"},
        )

    def create(self) -> str | None:
        if self.installed:
            return self.guest.create()
        if self.daemon.pid() is not None and self.running():
            return t("already running")
        self._require_possible()
        self.daemon.stop()
        leftovers.end(self._data)
        ports.require_free(self.settings.ports.api, t("the Kubernetes API"), "ports.api", "LAB_PORTS_API")
        self._write_files()
        program = tools.need(self.settings.state, "k3s", tools.known(supply.architecture())["k3s"])
        self.daemon.start([program, "server", "--config", str(self.folder / "config.yaml")], environ=_environment())
        self.daemon.wait(self.running, seconds=180)
        return f"https://127.0.0.1:{self.settings.ports.api}"

    def _require_possible(self) -> None:
        if os.geteuid() != 0:
            raise LabError(
                t("k3s runs as root"), t("sudo ./inv up --cluster k3s, or ./inv up --cluster sim, which needs no root")
            )
        if not network.default():
            raise LabError(t("this machine has no default route"), t(DUMMY_ROUTE))

    def _write_files(self) -> None:
        """The API server runs on this machine itself, so it reaches the stand-in on the loopback address; so do its image pulls."""
        given = render.values(self.settings, folder=self.folder, address="127.0.0.1")
        render.write(self.folder, FILES, given)
        (self.folder / LOGIN).chmod(0o700)
        fetched = sorted(tools.folder(self.settings.state).glob(AIRGAP))
        for archive in fetched or shelf.glob(self.settings.state, f"tools/{AIRGAP}"):
            self._offer(archive)

    def load_images(self, images: Sequence[Image]) -> str | None:
        """An archive appears in the folder under its own name at once and whole: k3s imports what it sees."""
        loaded = supply.Loaded(self.folder / "loaded.json")
        wanted = [item for item in supply.ready(self.settings, images) if not loaded.has(item)]
        for item in wanted:
            with supply.archive(item, self.folder) as path:
                self._offer(path)
            loaded.note(item)
        return t("{wanted} offered to k3s", wanted=len(wanted)) if wanted else t("all there")

    def _offer(self, archive: Path) -> None:
        folder = self.service_images if self.installed else self._data / "agent" / "images"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".{archive.name}.part"
            shutil.copyfile(archive, draft)
            draft.replace(folder / archive.name)
        except PermissionError:
            raise LabError(
                t("cannot write to {folder}", folder=folder), t("run as root: sudo ./inv up --cluster k3s")
            ) from None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def kubeconfig(self) -> Path:
        return self.guest.kubeconfig() if self.installed else self.folder / "kubeconfig"

    def running(self) -> bool:
        return answers(self.kubeconfig())

    def stop(self) -> bool:
        """The server, and the containers that it leaves running; an installed service goes on."""
        if self.installed:
            return False
        running = self.daemon.stop()
        return leftovers.end(self._data) or running

    def delete(self) -> None:
        if self.installed:
            self.guest.delete()
            for tag in supply.Loaded(self.folder / "loaded.json").read():
                (self.service_images / supply.file_name(tag)).unlink(missing_ok=True)
        self.stop()
        ports.remove_tree(self.folder)

    def diagnose(self) -> list[Finding]:
        from lab.clusters import needs

        route, root = bool(network.default()), os.geteuid() == 0 or self.installed
        return [
            *needs.tools(self.settings, () if self.installed else self.capabilities.tools),
            *needs.docker(),
            Finding(root, "root", t("yes") if root else t("no"), "" if root else "sudo ./inv up --cluster k3s"),
            Finding(route, mark("default route"), t("there") if route else t("none"), "" if route else t(DUMMY_ROUTE)),
        ]


def _environment() -> dict[str, str]:
    """k3s and its containers see nothing of the shell's AWS or Kubernetes settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KUBE", "K3S_"))}
