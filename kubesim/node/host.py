"""What every pod of the node shares: the API, the runtime, images, addresses, and where files live."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from kubesim.client import Client
from kubesim.controllers.clock import SystemClock
from kubesim.controllers.recorder import Events, Note, Source
from kubesim.node import network
from kubesim.node.images import ImageStore
from kubesim.node.isolation import Isolation
from kubesim.node.network import Addresses
from kubesim.node.probes import Prober
from kubesim.node.runtime import Runtime
from kubesim.resources import Object


@dataclass(frozen=True)
class Options:
    """What may be chosen of a node. More CPU and memory than the machine has are offered by default: a lab's requests are generous, its use
    is not, and sixteen tenants' requests must fit on a laptop. `namespaces` None means: private roots where this user may have them."""

    state: Path
    name: str = "kubesim-node"
    cpu: str = "64"
    memory: str = "128Gi"
    pods: int = 250
    namespaces: bool | None = None


@dataclass
class Host:
    """The node as its pods see it."""

    options: Options
    client: Client
    runtime: Runtime
    images: ImageStore
    prober: Prober
    private: bool
    private_pids: bool = False
    isolation: Isolation | None = None
    offset: int = field(default_factory=network.low_port_offset)
    services: list[Object] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.events = Events(self.client, self.clock)
        self.source = Source("kubelet", self.options.name)
        self.node: Object = {"status": {"allocatable": capacity(self.options)}}
        self.addresses = Addresses(str(self.options.state))
        self.tasks: set[asyncio.Task[None]] = set()
        self.starts = asyncio.Semaphore(max(4, 2 * (os.cpu_count() or 1)))

    def later(self, work: Coroutine[None, None, None]) -> None:
        """Have something done beside; it ends with the node."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    @property
    def folder(self) -> Path:
        return self.options.state / "node"

    def event(
        self,
        obj: Object,
        kind: Literal["Normal", "Warning"],
        reason: str,
        message: str,
        *,
        container: str = "",
        role: str = "main",
    ) -> None:
        """An Event about a pod (or one of its containers), the node or a Service."""
        metadata = obj["metadata"]
        regarding: Mapping[str, str] = {
            "apiVersion": "v1",
            "kind": obj.get("kind", "Pod"),
            **{name: str(metadata[name]) for name in ("namespace", "name", "uid") if metadata.get(name)},
        }
        if container:
            path = "containers" if role == "main" else "initContainers"
            regarding = {**regarding, "fieldPath": f"spec.{path}{{{container}}}"}
        version = metadata.get("resourceVersion", "")
        self.events.put(Note(self.source, tuple(regarding.items()), kind, reason, message, "", version))


def capacity(options: Options) -> dict[str, str]:
    return {
        "cpu": options.cpu,
        "memory": options.memory,
        "pods": str(options.pods),
        "ephemeral-storage": f"{psutil.disk_usage('/').total // 1024}Ki",
    }
