"""Providers of a dry run: they look as the real ones do, and note what those would start, build, stop and remove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import yaml

from lab.aws import base as aws
from lab.aws.base import Keys
from lab.clusters import base as clusters
from lab.clusters.base import Finding, Image
from lab.dryrun import guard
from lab.dryrun.aws import keys_of
from lab.dryrun.record import Record
from lab.host.files import write_private
from lab.messages import t
from lab.settings import ROOT, Settings

_NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "new",
    "clusters": [{"name": "new", "cluster": {"server": "https://127.0.0.1"}}],
    "contexts": [{"name": "new", "context": {"cluster": "new", "user": "new"}}],
    "users": [{"name": "new", "user": {}}],
}
Real = TypeVar("Real", bound=clusters.Provider | aws.Provider)


class _Provider(Generic[Real]):
    """What is the same of a cluster's and of AWS's: the real one's name, what it sees, and the question it would ask."""

    def __init__(self, real: Real, record: Record) -> None:
        self.real = real
        self.record = record

    @property
    def name(self) -> str:
        return self.real.name

    def question(self) -> str | None:
        """Nobody is asked: nothing is done that they would have to agree to."""
        with guard.looking():
            if (asked := self.real.question()) is not None:
                self.record.note("ask", asked)
        return None

    def agree(self) -> None: ...

    def diagnose(self) -> list[Finding]:
        with guard.looking():
            return self.real.diagnose()


class ClusterProvider(_Provider[clusters.Provider]):
    """`draft` is where the kubeconfig of a cluster stands that would only be started."""

    def __init__(self, real: clusters.Provider, settings: Settings, record: Record, draft: Path) -> None:
        super().__init__(real, record)
        self.settings = settings
        self.draft = draft

    @property
    def capabilities(self) -> clusters.Capabilities:
        return self.real.capabilities

    def create(self) -> str | None:
        if self.running():
            return None
        self.record.note(
            "start", t("cluster {name}: the Kubernetes API on port {api}", name=self.name, api=self.settings.ports.api)
        )
        self.record.new_cluster = True
        write_private(self.draft, yaml.safe_dump(_NOWHERE))
        return None

    def load_images(self, images: Sequence[Image]) -> str | None:
        for image in images:
            self.record.note(
                "build",
                t("{tag} of {dockerfile}, where it has changed", tag=image.tag, dockerfile=_short(image.dockerfile)),
            )
        return None

    def image(self, tag: str) -> str:
        return self.real.image(tag)

    def kubeconfig(self) -> Path:
        """The one that it is reached with: somebody's own where the lab has not been on their cluster yet."""
        if self.record.new_cluster:
            return self.draft
        own, visitor = self.real.kubeconfig(), self.real.visitor()
        return own if own.exists() or visitor is None else visitor

    def visitor(self) -> Path | None:
        return self.real.visitor()

    def running(self) -> bool:
        with guard.looking():
            visitor = self.real.visitor()
            return self.real.running() or (visitor is not None and clusters.answers(visitor))

    def stop(self) -> bool:
        running = self.running()
        if running and self.capabilities.owned:
            self.record.note("stop", t("cluster {name} with all its pods", name=self.name))
        return running

    def delete(self) -> None:
        if self.capabilities.owned:
            self.record.note("remove", t("cluster {name} and everything in it", name=self.name))
        else:
            self.record.note("remove", t("what the lab made on cluster {name}", name=self.name))


class AwsProvider(_Provider[aws.Provider]):
    @property
    def capabilities(self) -> aws.Capabilities:
        return self.real.capabilities

    def start(self, address: str = "127.0.0.1") -> str | None:
        if not self.running():
            self.record.note(
                "start", t("AWS ({name}) at {endpoint}", name=self.name, endpoint=self.endpoint() or t("AWS itself"))
            )
            self.record.new_aws = True
        return None

    def endpoint(self, service: str = "s3") -> str:
        return self.real.endpoint(service)

    def routes(self) -> dict[str, str]:
        return self.real.routes()

    def root(self) -> Keys:
        return keys_of(self.real, self.record)

    def keys(self, user: str) -> Keys | None:
        return self.real.keys(user)

    def running(self) -> bool:
        with guard.looking():
            return self.real.running()

    def stop(self) -> bool:
        if running := self.running():
            self.record.note("stop", f"AWS ({self.name})")
        return running

    def delete(self) -> None:
        self.record.note("remove", f"AWS ({self.name}): {self.folder()}")

    def folder(self) -> Path:
        return self.real.folder()


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
