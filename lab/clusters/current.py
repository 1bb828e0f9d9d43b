"""The `current` provider: a cluster that exists already, by a kubeconfig context (EKS, a company's, kind of your own).

It is somebody else's: nothing is changed before they agreed to that very cluster, nothing there is taken over, and `down --purge` removes
what the record says the lab made.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lab.clusters import network
from lab.clusters.base import IMAGES, Capabilities, Finding, Image, answers
from lab.clusters.record import Identity, Record
from lab.errors import LabError
from lab.host import ports
from lab.host.files import write_private
from lab.kubeconfig import Context, files, read
from lab.messages import mark, t
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.clusters.footprint import Ref
    from lab.kube import Cluster


@dataclass(frozen=True)
class Current:
    settings: Settings
    source: tuple[Path, ...] = ()
    """The kubeconfig to look in; where kubectl looks, if none is named."""
    name: str = "current"

    @property
    def folder(self) -> Path:
        return self.settings.state / "current"

    @property
    def record(self) -> Record:
        return Record(self.settings.state)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            runs_images_as="containers",
            builds_with_docker=bool(self.settings.registry),
            keeps_tenants_apart=t("what this cluster enforces"),
            host_address=self.settings.host_address or _address_towards(self.kubeconfig()),
            owned=False,
        )

    @cached_property
    def context(self) -> Context:
        return read(self.source or files(os.environ), self.settings.context)

    def question(self) -> str | None:
        """Which cluster it is, and what the lab would make there."""
        here = self._identify()
        self.record.require_not_elsewhere(here)
        if self.record.agreed(here):
            return None
        made = _footprint(self.settings)
        namespaces = sorted(ref.name for ref in made if ref.kind == "Namespace")
        return t(
            "the lab goes to a cluster that it did not make:\n"
            "  context  {context}  ({file})\n"
            "  server   {server}, Kubernetes {version}\n"
            "  makes    {namespaces} namespaces ({first} ... {last}) and {others} objects beside them\n"
            "           ./inv down --purge removes exactly these",
            context=here.context,
            file=self.context.file,
            server=here.server,
            version=here.version,
            namespaces=len(namespaces),
            first=namespaces[0],
            last=namespaces[-1],
            others=len(made) - len(namespaces),
        )

    def agree(self) -> None:
        here = self._identify()
        self.record.require_not_elsewhere(here)
        self.record.agree(here)

    def create(self) -> str | None:
        from lab.clusters import guest

        here = self._identify()
        if not self.record.agreed(here):
            raise LabError(
                t("nobody agreed to change {server} (context {context})", server=here.server, context=here.context),
                t("./inv up --cluster current asks for it"),
            )
        wanted, ours = _footprint(self.settings), self.record.made()
        guest.require_none(
            self._cluster(),
            sorted(set(wanted) - set(ours)),
            t("{server} (context {context})", server=here.server, context=here.context),
        )
        self.record.add(wanted)
        write_private(self.kubeconfig(), self.context.alone())
        return f"{here.context}, {here.server}"

    def load_images(self, images: Sequence[Image]) -> str | None:
        if not self.settings.registry:
            return t(
                "no registry in lab.yaml: its nodes must have {names}", names=", ".join(image.tag for image in images)
            )
        from lab.clusters import supply

        return supply.push(self.settings, images, self.image)

    def image(self, tag: str) -> str:
        ours = self.settings.registry and any(image.tag == tag for image in IMAGES)
        return f"{self.settings.registry}/{tag}" if ours else tag

    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def running(self) -> bool:
        return answers(self.kubeconfig(), seconds=5)

    def stop(self) -> bool:
        return False

    def delete(self) -> None:
        from lab.clusters import guest

        made = self.record.made()
        if made and self.kubeconfig().exists():
            kept = self._kept()
            self.record.require_same(kept.get("v1", "Namespace", "kube-system")["metadata"]["uid"])
            guest.remove(kept, made)
        ports.remove_tree(self.folder)

    def diagnose(self) -> list[Finding]:
        try:
            here = self._identify()
        except LabError as error:
            return [Finding(False, mark("cluster"), error.message, error.hint)]
        return [
            Finding(
                True,
                mark("cluster"),
                t(
                    "{server} (context {context}), Kubernetes {version}",
                    server=here.server,
                    context=here.context,
                    version=here.version,
                ),
            )
        ]

    def _identify(self) -> Identity:
        cluster = self._cluster()
        version = cluster.request("GET", "/version", seconds=10)["gitVersion"]
        uid = cluster.get("v1", "Namespace", "kube-system")["metadata"]["uid"]
        return Identity(self.context.name, self.context.server, uid, version)

    def visitor(self) -> Path:
        """As the person's own kubeconfig has it; in a file of the lab's, for the Kubernetes client reads files."""
        self.settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / "context"
        write_private(path, self.context.alone())
        return path

    def _cluster(self) -> Cluster:
        from lab.kube import Cluster

        return Cluster(self.visitor())

    def _kept(self) -> Cluster:
        """The cluster that the lab was brought up on, whatever the context is now."""
        from lab.kube import Cluster

        return Cluster(self.kubeconfig())


def _footprint(settings: Settings) -> list[Ref]:
    from lab.clusters.footprint import footprint

    return footprint(settings)


def _address_towards(path: Path) -> str:
    """This machine's address on the way to the cluster's API; 127.0.0.1 while that is not known."""
    try:
        url = urlsplit(read([path]).server)
    except LabError:
        return "127.0.0.1"
    return network.towards(url.hostname or "", url.port or 443) or "127.0.0.1"
