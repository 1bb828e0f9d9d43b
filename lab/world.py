"""Everything a task works with: the settings, the chosen providers, and the cluster as its administrator. And the lock that `up` and `down` hold."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from lab import aws as aws_providers
from lab import choice, clusters, dryrun, settings
from lab.aws.base import Keys
from lab.aws.base import Provider as AwsProvider
from lab.aws.clients import Clients, NoKeys
from lab.choice import Choice
from lab.clusters.base import Provider as ClusterProvider
from lab.errors import Busy, LabError
from lab.host import proxies
from lab.host.processes import Daemon
from lab.kube import Cluster
from lab.messages import t
from lab.settings import Settings, Tenant
from lab.tenancy import users


@dataclass(frozen=True)
class World:
    settings: Settings
    provider: ClusterProvider
    provider_why: str
    aws: AwsProvider
    aws_why: str
    at_once: ClassVar[int] = 4
    """How many tenants are worked on side by side."""
    steps_at_once: ClassVar[int] = 16

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, where users and tools find it."""
        return self.settings.state / "kubeconfig"

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster as its administrator."""
        if not self.kubeconfig.exists():
            raise LabError(t("the lab is not up: there is no .lab/kubeconfig"), "./inv up")
        return self.cluster_with(self.kubeconfig)

    @cached_property
    def root(self) -> Clients:
        """AWS as its administrator."""
        return self.clients_with(self.aws.root())

    @property
    def visiting(self) -> bool:
        """Whether this is a cluster that the lab was not brought up on: a real course, which is looked at and not changed."""
        kept = choice.read(self.settings.state).cluster
        return not self.provider.capabilities.owned and kept != self.provider.name

    def cluster_as(self, tenant: Tenant) -> Cluster:
        """The cluster as the tenant; on a visit, as whoever asks.

        A tenant who typed `aws eks update-kubeconfig` has a kubeconfig that signs in with AWS keys: the tenant's, not those of this shell.
        """
        path, environ = users.kubeconfig_path(self.settings, tenant), users.sign_in(self.settings, tenant)
        if self.visiting and (visitor := self.provider.visitor()) is not None:
            path, environ = visitor, {}
        if not path.exists():
            raise LabError(
                t("tenant {user} has not been started", user=tenant.user), f"./inv up --tenants {tenant.num}"
            )
        made = self.cluster_with(path)
        made.environ = environ
        return made

    def aws_as(self, tenant: Tenant) -> Clients:
        """AWS as the tenant. Without keys every call says so: the checks that need none still run."""
        keys = self.aws.keys(tenant.user)
        if keys is None:
            return NoKeys(self.aws, tenant.user, self.settings.region)
        return self.clients_with(keys)

    def cluster_with(self, kubeconfig: Path) -> Cluster:
        """The cluster as whoever the kubeconfig names."""
        return Cluster(kubeconfig, image=self.provider.image)

    def clients_with(self, keys: Keys) -> Clients:
        return Clients(self.aws, keys, self.settings.region)

    def daemon(self, name: str) -> Daemon:
        """A background process of the lab beside its cluster and AWS."""
        return Daemon(name, self.settings.state)

    def outside(self, words: Sequence[str]) -> None:
        """Called before what neither the cluster's API nor AWS's is asked to do, with what that is; a dry run ends here."""

    def keep_choice(self) -> None:
        """From here on this folder's lab is on these providers; raises LabError where it is on another cluster already."""
        choice.keep(self.settings.state, Choice(self.provider.name, self.aws.name))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one `up` or `down` at a time; the kernel lets go of the lock when the process ends, however it ends."""
        self.settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.settings.state / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or t("another process")
                raise Busy(
                    t("this lab is being changed by {holder}", holder=holder),
                    t("wait until it is done, then run this again"),
                ) from None
            file.truncate(0)
            file.write(t("process {pid}", pid=os.getpid()))
            file.flush()
            yield
            file.truncate(0)


def load(*, cluster: str = "", aws: str = "", nodes: str = "") -> World:
    """From lab.yaml, the environment and the options of a task, which come first; what `auto` means was settled by the first `up`."""
    os.environ.update(proxies.bypass(os.environ))
    options = (("LAB_CLUSTER", cluster), ("LAB_AWS", aws), ("LAB_NODES", nodes))
    loaded = settings.load(environ={**os.environ, **{key: value for key, value in options if value}})
    kept = choice.read(loaded.state)
    stand_in, aws_why = aws_providers.detect(_settled(loaded, "aws", kept.aws))
    # Ports follow from who has AWS, and a cluster is told where its sign-in is.
    known = loaded.model_copy(update={"aws": stand_in.name})
    provider, why = clusters.detect(_settled(known, "cluster", kept.cluster))
    settled = loaded.model_copy(update={"cluster": provider.name, "aws": stand_in.name})
    why, aws_why = (
        t("as before") if was == "auto" and keeps else words
        for was, keeps, words in ((loaded.cluster, kept.cluster, why), (loaded.aws, kept.aws, aws_why))
    )
    return dryrun.view(World(settled, provider, why, stand_in, aws_why))


def _settled(loaded: Settings, key: str, kept: str) -> Settings:
    """The same settings, `auto` replaced by what this lab is on."""
    return loaded.model_copy(update={key: kept}) if kept and getattr(loaded, key) == "auto" else loaded
