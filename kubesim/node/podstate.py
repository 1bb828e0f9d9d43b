"""What is known of one pod while it lives here: shared by those who start its containers, probe them and end them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from kubesim.node import logs, probes, status
from kubesim.node.containers import Place
from kubesim.node.host import Host
from kubesim.node.status import Container
from kubesim.resources import Object


class PodState:
    """The pod as the API has it (`pod`), its containers as they are here. `wake` has the worker look at everything again."""

    def __init__(self, host: Host, pod: Object) -> None:
        self.host, self.pod = host, pod
        self.uid: str = pod["metadata"]["uid"]
        self.containers = [Container(spec=spec, role=role) for spec, role in status.roles(pod)]
        self.taken = status.seconds(logs.now())
        self.wake = asyncio.Event()
        self.gone = False
        self.place: Place | None = None
        self.final = ("", "", "")
        self.address = ""

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def folder(self) -> Path:
        return self.host.folder / "pods" / self.uid

    @property
    def log_folder(self) -> Path:
        return self.host.folder / "logs" / f"{self.namespace}_{self.name}_{self.uid}"

    @property
    def policy(self) -> str:
        return str(self.pod["spec"].get("restartPolicy", "Always"))

    def container(self, name: str) -> Container | None:
        return next((one for one in self.containers if one.name == name), None)

    def log_file(self, container: Container, *, previous: bool = False) -> Path | None:
        """Where a container's lines are; None where it never started (or never before). What is in back-off is its own previous run."""
        in_backoff = container.ended and container.waiting[0] == "CrashLoopBackOff"
        run = container.previous if previous and not in_backoff else container.run
        return self.log_folder / container.name / f"{run.attempt}.log" if run else None

    def grace(self) -> int:
        """Seconds between asking a container to end and ending it."""
        metadata = self.pod["metadata"]
        if metadata.get("deletionGracePeriodSeconds") is not None:
            return int(metadata["deletionGracePeriodSeconds"])
        return int(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    def target(self, container: Container) -> probes.Target:
        """A running container, for probes and hooks."""
        assert container.run is not None
        return probes.Target(container.run.id, container.spec, self.address, self.host.offset)

    def event(self, container: Container, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """An Event about one of the pod's containers."""
        self.host.event(self.pod, kind, reason, message, container=container.name, role=container.role)
