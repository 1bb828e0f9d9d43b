"""The `kind` provider: Kubernetes in Docker containers, made from k8s/kind.yaml. Its kubeconfig lies in the lab's folder, never in ~/.kube.

The folder `STATE/kind` is mounted into every node: registry routes, the API server's token webhook, shared volumes. Its file `made` says that
`kind create` went through; a cluster without it was left half-made, and is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import yaml

from lab import tools
from lab.clusters import network, render, supply
from lab.clusters.base import Capabilities, Finding, Image, Own, answers
from lab.errors import ClusterError, LabError
from lab.host import ports, shell
from lab.host.files import write_private
from lab.kube import manifests
from lab.messages import plural, t
from lab.settings import Settings

CLUSTER = "mlops-lab"
NETWORK = "kind"
PATIENCE = 120
"""Seconds that nodes have to answer after they were started again."""
ADDONS = (manifests.K8S / "kind" / "storage.yaml", manifests.K8S / "kind" / "metrics-server.yaml")
METRICS_SERVER = (
    "registry.k8s.io/metrics-server/metrics-server:v0.8.0"
    "@sha256:89258156d0e9af60403eafd44da9676fd66f600c7934d468ccc17e42b199aee2"
)


@dataclass(frozen=True)
class Kind(Own):
    settings: Settings
    name: str = "kind"

    @property
    def folder(self) -> Path:
        return self.settings.state / "kind"

    @property
    def made(self) -> Path:
        return self.folder / "made"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            runs_images_as="containers",
            builds_with_docker=True,
            keeps_tenants_apart=t("RBAC, quota, IAM, containers and kind's own network policies"),
            host_address=self._address(),
            owned=True,
            tools=("kind", "kubectl"),
            images=(render.node_image(), METRICS_SERVER),
            logins={f"certs.d/{render.registry(self.settings)}/hosts.toml": "kind/hosts.toml"},
        )

    def _address(self) -> str:
        """This machine as containers reach it, known once the cluster's files are written."""
        path = self.folder / "address"
        return path.read_text() if path.exists() else "127.0.0.1"

    def create(self) -> str | None:
        exists = CLUSTER in self._kind("get", "clusters").split()
        if exists and not self.made.exists():
            exists = self._clear_half_made()
        if not exists:
            self._make()
            nodes = self.settings.nodes
        elif not self.running():
            nodes = self._start()
        else:
            return self._as_it_is()
        self._add()
        return f"https://127.0.0.1:{self.settings.ports.api}, {_count(nodes)}"

    def _as_it_is(self) -> str:
        """kind gives a cluster its nodes when it makes it, and never one more."""
        wanted = self.settings.nodes
        if wanted == 1 or wanted <= (nodes := len(self._nodes())):
            return t("already running")
        return t(
            "already running with {has}; ./inv down --purge, then ./inv up --cluster kind --nodes {wanted} makes it anew",
            has=_count(nodes),
            wanted=wanted,
        )

    def _clear_half_made(self) -> bool:
        """Ours where its `kind create` was begun here; a cluster of that name from elsewhere is not touched."""
        if not (self.folder / "config.yaml").exists():
            raise LabError(
                t(
                    "there is a kind cluster {cluster} that the lab in {state} did not make",
                    cluster=CLUSTER,
                    state=self.settings.state,
                ),
                t(
                    "kind delete cluster --name {cluster}, or use the lab folder that made it (LAB_STATE=...)",
                    cluster=CLUSTER,
                ),
            )
        self._kind("delete", "cluster", "--name", CLUSTER, "--kubeconfig", str(self.kubeconfig()))
        return False

    def _make(self) -> None:
        for port, (service, key) in _host_ports(self.settings).items():
            ports.require_free(port, service, f"ports.{key}", f"LAB_PORTS_{key.upper()}")
        self.made.unlink(missing_ok=True)
        (self.folder / "loaded.json").unlink(missing_ok=True)
        self._write_files()
        image = self._node()
        where = [
            "--name",
            CLUSTER,
            "--config",
            str(self.folder / "config.yaml"),
            "--kubeconfig",
            str(self.kubeconfig()),
        ]
        self._kind("create", "cluster", *where, "--image", image, "--wait", "180s", seconds=1200)
        write_private(self.made, image)

    def _start(self) -> int:
        """After a reboot or a restart of Docker its containers stand still; how many they are."""
        nodes = self._nodes()
        supply.docker("start", *nodes)
        for _ in range(PATIENCE):
            if self.running():
                return len(nodes)
            Event().wait(1)
        raise ClusterError(
            f"kind cluster {CLUSTER} does not answer {PATIENCE} s after its containers ({', '.join(nodes)}) were started",
            t(
                "their addresses may have changed with the restart: ./inv down --purge, then ./inv up --cluster kind makes it anew"
            ),
        )

    def _add(self) -> None:
        from lab.kube import Cluster
        from lab.kube.apply import apply

        apply(Cluster(self.kubeconfig()), [item for path in ADDONS for item in manifests.read(path)])

    def _write_files(self) -> None:
        address = network.gateway(NETWORK)
        given = render.values(self.settings, folder=self.folder, address=address)
        render.write(self.folder, {"apiserver/token-webhook.yaml": "token-webhook.yaml"}, given)
        (self.folder / "certs.d").mkdir(exist_ok=True)  # mounted now, filled in when there is a registry to sign in to
        shared = self.folder / "shared" / "models"
        shared.mkdir(parents=True, exist_ok=True)
        shared.chmod(0o1777)  # pods of several users write there, as to /tmp
        config = render.kind(given, name=CLUSTER, nodes=self.settings.nodes)
        write_private(self.folder / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        write_private(self.folder / "address", address)

    def _node(self) -> str:
        """From a bundle the image has its tag only, for an archive does not carry the digest it was pulled by."""
        pinned = render.node_image()
        shelved = supply.shelf(self.settings, pinned)
        if shelved is None:
            return pinned
        supply.docker("load", "-i", str(shelved))
        return pinned.partition("@")[0]

    def load_images(self, images: Sequence[Image]) -> str | None:
        loaded = supply.Loaded(self.folder / "loaded.json")
        offered = supply.ready(self.settings, images)
        addon = METRICS_SERVER.partition("@")[0]
        if (shelved := supply.shelf(self.settings, addon)) is not None:
            offered.append(supply.from_shelf(addon, shelved))
        wanted = [item for item in offered if not loaded.has(item)]
        for item in wanted:
            with supply.archive(item, self.folder) as path:
                self._kind("load", "image-archive", str(path), "--name", CLUSTER)
            loaded.note(item)
        return t("{wanted} loaded", wanted=len(wanted)) if wanted else t("all there")

    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def running(self) -> bool:
        return answers(self.kubeconfig())

    def stop(self) -> bool:
        running = self.running()
        if self.made.exists() and tools.find(self.settings.state, "kind"):
            supply.docker("stop", *self._nodes())
        return running

    def delete(self) -> None:
        if (self.folder / "config.yaml").exists():
            self._kind("delete", "cluster", "--name", CLUSTER, "--kubeconfig", str(self.kubeconfig()))
        ports.remove_tree(self.folder)

    def diagnose(self) -> list[Finding]:
        from lab.clusters import needs

        return [*needs.tools(self.settings, self.capabilities.tools), *needs.docker()]

    def _nodes(self) -> list[str]:
        return self._kind("get", "nodes", "--name", CLUSTER).split()

    def _kind(self, *arguments: str, seconds: float = 600) -> str:
        tool = tools.known(supply.architecture())["kind"]
        return shell.run([tools.need(self.settings.state, "kind", tool), *arguments], seconds=seconds)


def _count(nodes: int) -> str:
    return plural("{count} node", "{count} nodes", count=nodes)


def _host_ports(settings: Settings) -> dict[int, tuple[str, str]]:
    wanted = settings.ports
    return {
        wanted.api: (t("the Kubernetes API"), "api"),
        wanted.mlflow: ("MLflow", "mlflow"),
        wanted.serving: (t("the iris service"), "serving"),
        wanted.dashboard: (t("the dashboard"), "dashboard"),
        wanted.pipelines: (t("the list of training jobs"), "pipelines"),
    }
