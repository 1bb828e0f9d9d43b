"""A cluster with a node: the API server in this process, containers as real processes."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubesim.client import Client
from kubesim.errors import AlreadyExists, NotFound
from kubesim.node import images, logs
from kubesim.node.kubelet import Node
from kubesim.resources import Object
from kubesim.server import Cluster, Settings, running

NAMESPACE = "default"
DOCKERFILE = 'FROM busybox\nENV FROM_IMAGE=yes\nCMD ["sleep", "1000"]\n'


@dataclass
class Lab:
    """What a test says to the cluster."""

    cluster: Cluster
    state: Path
    made: list[tuple[str, str]] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return self.cluster.client()

    @property
    def node(self) -> Node:
        node: Node = self.cluster.server.node
        return node

    async def pod(self, name: str, *command: str, container: Object | None = None, **spec: Any) -> Object:
        """A pod of one container `main`, bound to the node."""
        main: Object = {
            "name": "main",
            "image": "lab/busybox:1",
            **({"command": list(command)} if command else {}),
            **(container or {}),
        }
        whole: Object = {"nodeName": "kubesim-node", "terminationGracePeriodSeconds": 1, "containers": [main], **spec}
        body: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": whole,
        }
        return await self.client.create("v1/pods", body, NAMESPACE)

    async def until(self, name: str, condition: Callable[[Object], object], seconds: float = 30.0) -> Object:
        """The pod once `condition` holds of it."""
        deadline = time.monotonic() + seconds
        while True:
            pod = await self.client.get("v1/pods", name, NAMESPACE)
            if condition(pod):
                return pod
            assert time.monotonic() < deadline, f"not in time: {pod.get('status')}"
            await asyncio.sleep(0.01)

    async def phase(self, name: str, phase: str) -> Object:
        return await self.until(name, lambda pod: pod["status"]["phase"] == phase)

    async def ready(self, name: str) -> Object:
        return await self.until(name, is_ready)

    async def gone(self, name: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                await self.client.get("v1/pods", name, NAMESPACE)
            except NotFound:
                return
            assert time.monotonic() < deadline, f"{name} is still there"
            await asyncio.sleep(0.01)

    def log(self, name: str, container: str = "main") -> str:
        """What a container printed."""
        worker = self.node.worker(NAMESPACE, name)
        assert worker is not None
        one = worker.container(container)
        assert one is not None
        path = worker.log_file(one)
        return "" if path is None else b"".join(line.text for line in logs.read(path)).decode()

    async def run(self, name: str, *command: str, **spec: Any) -> str:
        """What a command prints in a pod of its own, once it has succeeded."""
        await self.pod(name, *command, restartPolicy="Never", **spec)
        pod = await self.until(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
        text = self.log(name)
        assert pod["status"]["phase"] == "Succeeded", text
        return text

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        """(type, reason, message) about an object, in order."""
        deadline = time.monotonic() + 5
        while not self.node.host.events.idle and time.monotonic() < deadline:  # noqa: ASYNC110  a queue without an event
            await asyncio.sleep(0.01)
        found = (await self.client.list("v1/events", NAMESPACE)).items
        mine = [
            one
            for one in found
            if one["involvedObject"]["name"] == name and one.get("source", {}).get("component") == "kubelet"
        ]
        ordered = sorted(mine, key=lambda one: int(one["metadata"]["name"].rpartition(".")[2], 16))
        return [(one["type"], one["reason"], one["message"]) for one in ordered]

    async def config_map(self, name: str, **data: str) -> None:
        await self.client.create(
            "v1/configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data},
            NAMESPACE,
        )

    async def secret(self, name: str, **data: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        await self.client.create(
            "v1/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}, NAMESPACE
        )


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def build_image(state: Path, context: Path, tag: str = "lab/busybox:1", text: str = DOCKERFILE) -> None:
    context.mkdir(parents=True, exist_ok=True)
    (context / "Dockerfile").write_text(text)
    images.build(state, context, tag=tag)


async def prepare(cluster: Cluster) -> None:
    """What controllers would have made: the default service account and the root certificate."""
    client = cluster.client()
    account: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    root: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-root-ca.crt"},
        "data": {"ca.crt": cluster.authority.pem.decode()},
    }
    for key, body in (("v1/serviceaccounts", account), ("v1/configmaps", root)):
        try:
            await client.create(key, body, NAMESPACE)
        except AlreadyExists:
            continue
    await cluster.server.node.ready.wait()


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Lab]:
    """An API server and a node, no controllers: a test's pods are its own. Containers end with the block."""
    state = folder / "state"
    build_image(state, folder / "image")
    async with running(Settings(state, port=0, controllers=False, node=True)) as cluster:
        cluster.stop_containers = True
        await prepare(cluster)
        yield Lab(cluster, state)


def container(pod: Object, number: int = 0) -> Object:
    """The status of a container; empty while there is none."""
    found = pod["status"].get("containerStatuses") or []
    return found[number] if found else {"restartCount": 0, "state": {}}
