"""The node's presence in the API: its Node object, and the lease that says that it lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from kubesim.client import Client
from kubesim.errors import AlreadyExists, ApiError, Conflict, NotFound
from kubesim.node import logs, network, status
from kubesim.node.host import Options, capacity
from kubesim.node.images import ImageStore
from kubesim.resources import Object

log = logging.getLogger(__name__)

NODES, LEASES = "v1/nodes", "coordination.k8s.io/v1/leases"
VERSION = "v1.36.2"
_LEASE_SECONDS, _LEASE_RENEW_SECONDS, _STATUS_SECONDS = 40, 10.0, 300.0


class Presence:
    """`register` once, then `beat` for ever."""

    def __init__(self, client: Client, options: Options, images: ImageStore) -> None:
        self.client, self.options, self.images = client, options, images

    async def register(self) -> None:
        body: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.options.name, "labels": self._labels()},
            "spec": {"podCIDR": network.POD_NETWORK, "podCIDRs": [network.POD_NETWORK]},
        }
        while True:
            try:
                await self.client.create(NODES, body)
            except AlreadyExists:
                pass
            except ApiError as error:
                log.warning("cannot register the node: %s", error.message)
                await asyncio.sleep(1)
                continue
            await self._write_status()
            return

    def _labels(self) -> dict[str, str]:
        arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return {
            "beta.kubernetes.io/arch": arch,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": arch,
            "kubernetes.io/hostname": self.options.name,
            "kubernetes.io/os": "linux",
        }

    async def _write_status(self) -> None:
        known = (await self.client.get(NODES, self.options.name)).get("status") or {}
        body = {"status": node_status(self.options, known, self.images)}
        await self.client.patch(
            NODES, self.options.name, body, kind="strategic", subresource="status", field_manager="kubelet"
        )

    async def beat(self) -> None:
        """Renew the lease, and now and then the status. For ever."""
        written = time.monotonic()
        while True:
            try:
                await self._renew()
                if time.monotonic() - written > _STATUS_SECONDS:
                    await self._write_status()
                    written = time.monotonic()
            except NotFound:
                await self.register()
            except ApiError as error:
                log.warning("heartbeat: %s", error.message)
            await asyncio.sleep(_LEASE_RENEW_SECONDS)

    async def _renew(self) -> None:
        now = logs.now()[:26] + "Z"
        name, namespace = self.options.name, "kube-node-lease"
        try:
            await self.client.patch(LEASES, name, {"spec": {"renewTime": now}}, namespace)
        except NotFound:
            spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": now}
            body: Object = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": namespace},
                "spec": spec,
            }
            with contextlib.suppress(AlreadyExists, Conflict):
                await self.client.create(LEASES, body, namespace)


def node_status(options: Options, known: Object, images: ImageStore) -> Object:
    """The Node's status: what it offers, how it is, and what it has."""
    offered = capacity(options)
    now = status.seconds(logs.now())
    return {
        "capacity": offered,
        "allocatable": offered,
        "addresses": [
            {"type": "InternalIP", "address": network.NODE_ADDRESS},
            {"type": "Hostname", "address": options.name},
        ],
        "conditions": _conditions(known, now, options.state),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "images": [{"names": [image.name], "sizeBytes": _size(image.root)} for image in images.list()],
        "nodeInfo": {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "bootID": _first_line("/proc/sys/kernel/random/boot_id"),
            "containerRuntimeVersion": "kubesim://1.0.0",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": _first_line("/etc/machine-id"),
            "operatingSystem": "linux",
            "osImage": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
            if Path("/etc/os-release").exists()
            else "Linux",
            "systemUUID": _first_line("/proc/sys/kernel/random/boot_id"),
        },
    }


def _conditions(known: Object, now: str, state: Path) -> list[Object]:
    old = {one["type"]: one for one in known.get("conditions") or []}
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(state))
    wanted = [
        (
            "MemoryPressure",
            memory.available < 100 * 2**20,
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        ("DiskPressure", disk.free < 200 * 2**20, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ]
    found = [
        _condition(old, kind, now, bad, reason if not bad else f"KubeletUnder{kind}", message)
        for kind, bad, reason, message in wanted
    ]
    return [*found, _condition(old, "Ready", now, True, "KubeletReady", "kubelet is posting ready status")]


def _condition(old: Mapping[str, Object], kind: str, now: str, value: bool, reason: str, message: str) -> Object:
    text = "True" if value else "False"
    since = old[kind]["lastTransitionTime"] if kind in old and old[kind]["status"] == text else now
    return {
        "type": kind,
        "status": text,
        "lastHeartbeatTime": now,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }


def _size(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*")) or 1


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return os.uname().nodename
