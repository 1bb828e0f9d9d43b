"""What a cluster provider is: it makes a cluster, brings images to it and hands back a kubeconfig. Everything after that is the same code for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab.settings import ROOT


@dataclass(frozen=True)
class Capabilities:
    """How clusters differ, as data; nothing asks which provider it has."""

    runs_images_as: str
    """"processes" (the simulator) or "containers"."""
    builds_with_docker: bool
    keeps_tenants_apart: str
    """What isolates tenants beyond the API's own rules, for the summary."""
    host_address: str
    """Where pods find services of this host, such as the AWS stand-in."""
    owned: bool
    """The lab made this cluster, so `down --purge` may delete it."""
    tools: tuple[str, ...] = ()
    """Programs of lab/tools.yaml that it needs."""
    images: tuple[str, ...] = ()
    """Images that are not the lab's own and that it needs besides: its node, its add-ons."""
    logins: Mapping[str, str] = field(default_factory=dict)
    """Files below its folder that say who nodes are when they pull from the lab's registry, by the templates of k8s/ that they are made of."""


@dataclass(frozen=True)
class Image:
    """One of the lab's images: its tag and the Dockerfile it is built from. The build context is the repository."""

    tag: str
    dockerfile: Path
    context: Path = ROOT


IMAGES: tuple[Image, ...] = (
    Image("mlops-lab/postgres:1", ROOT / "images/postgres/Dockerfile"),
    Image("mlops-lab/mlflow:1", ROOT / "images/mlflow/Dockerfile"),
    Image("mlops-lab/kubeflow-lite:1", ROOT / "images/kubeflow-lite/Dockerfile"),
    Image("ops-demo:serving", ROOT / "images/serving/Dockerfile"),
    Image("ops-demo:training", ROOT / "images/training/Dockerfile"),
)


@dataclass(frozen=True)
class Finding:
    """One line of `invoke doctor`: whether it is good, what was seen, and the cure."""

    good: bool
    subject: str
    seen: str
    cure: str = ""


class Provider(Protocol):
    """A way to have a cluster. Every method may be called again after it succeeded: the second call changes nothing."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def question(self) -> str | None:
        """What somebody has to agree to before anything is changed; None where the cluster is the lab's own, or where they agreed."""
        ...

    def agree(self) -> None:
        """Somebody agreed to what `question` says; kept, for that very cluster."""
        ...

    def create(self) -> str | None:
        """Make it or start it, until its API answers; returns a note for the list of steps."""
        ...

    def load_images(self, images: Sequence[Image]) -> str | None:
        """Bring images to where its nodes find them."""
        ...

    def image(self, tag: str) -> str:
        """The name by which its nodes know an image of the lab's."""
        ...

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, in the lab's own folder."""
        ...

    def visitor(self) -> Path | None:
        """The kubeconfig of the person who asks, on a cluster of somebody else's; None where the lab hands out all identities itself."""
        ...

    def running(self) -> bool:
        """Whether its API answers now; quick, never raises."""
        ...

    def stop(self) -> bool:
        """Stop it, keeping what it holds; True where it was running. A cluster that is not the lab's own goes on."""
        ...

    def delete(self) -> None:
        """Remove it with everything it holds; of a cluster that is not the lab's own, exactly what the lab made."""
        ...

    def diagnose(self) -> list[Finding]:
        """What this provider needs of the machine, for `invoke doctor`."""
        ...


class Own:
    """The answers of every provider whose cluster the lab makes for itself."""

    def question(self) -> str | None:
        return None

    def agree(self) -> None: ...

    def image(self, tag: str) -> str:
        return tag

    def visitor(self) -> Path | None:
        return None


def answers(kubeconfig: Path, *, seconds: float = 2) -> bool:
    """Asks /readyz as the kubeconfig says, so that another cluster on the same port is not taken for this one. Never raises."""
    from lab.errors import LabError
    from lab.kube import Cluster

    if not kubeconfig.exists():
        return False
    try:
        Cluster(kubeconfig).request("GET", "/readyz", accept="*/*", seconds=seconds)
    except LabError:
        return False
    return True
