"""The world that a task of a dry run works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lab.aws.base import Keys
from lab.aws.clients import Clients
from lab.clusters import PROVIDERS
from lab.dryrun import aws, cluster, providers
from lab.dryrun.overlay import Overlay
from lab.dryrun.record import Record
from lab.dryrun.scratch import Scratch
from lab.host.processes import Daemon
from lab.messages import t
from lab.world import World


@dataclass(frozen=True)
class Planned(World):
    """`settings.state` is the scratch folder; the providers know the real one."""

    record: Record
    scratch: Scratch
    overlay: Overlay = field(default_factory=Overlay)
    at_once: ClassVar[int] = 1
    steps_at_once: ClassVar[int] = 1
    """In order, so that what is said reads as a list."""

    def cluster_with(self, kubeconfig: Path) -> cluster.Cluster:
        """As whoever the kubeconfig names. Requests are made with the real file: a task may write into its own."""
        real = self.scratch.real(kubeconfig)
        source = real if real.exists() and not self.record.new_cluster else self.provider.kubeconfig()
        return cluster.Cluster(
            kubeconfig, source=source, image=self.provider.image, record=self.record, overlay=self.overlay
        )

    def clients_with(self, keys: Keys) -> Clients:
        return aws.Clients(self.aws, keys, self.settings.region, record=self.record)

    def daemon(self, name: str) -> Daemon:
        return Noted(name, self.scratch.state, self.record)

    def outside(self, words: Sequence[str]) -> None:
        *first, last = (word.replace(str(self.scratch.folder), str(self.scratch.state)) for word in words)
        for line in first:
            self.record.note("do", line)
        self.record.end("do", last)


@dataclass(frozen=True)
class Noted(Daemon):
    """A background process that is left as it is."""

    record: Record

    def start(self, command: Sequence[str], environ: object = None) -> int:
        self.record.note("start", f"{self.name}: {' '.join(command)}")
        return 0

    def stop(self, **_: object) -> bool:
        if self.pid() is not None:
            self.record.note("stop", t("{name}, process {pid}", name=self.name, pid=self.pid()))
            return True
        return False


def planned(world: World, record: Record, folder: Path) -> Planned:
    scratch = Scratch(world.settings.state, folder)
    settings = world.settings.model_copy(update={"state": scratch.folder})
    cluster_provider = world.provider
    if not cluster_provider.capabilities.owned:
        # It keeps what it knows of somebody's cluster in the lab's folder, from the first look at it.
        cluster_provider = PROVIDERS[cluster_provider.name](settings)
    return Planned(
        settings,
        providers.ClusterProvider(cluster_provider, world.settings, record, folder.parent / "admin.kubeconfig"),
        world.provider_why,
        providers.AwsProvider(world.aws, record),
        world.aws_why,
        record,
        scratch,
    )
