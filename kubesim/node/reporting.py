"""Telling the API how a pod is: its status is written where it differs from what the API has."""

from __future__ import annotations

import asyncio
import contextlib

from kubesim.errors import ApiError
from kubesim.node import logs, network, status
from kubesim.node.podstate import PodState
from kubesim.node.status import View
from kubesim.resources import Object

PODS = "v1/pods"
_ANNOUNCE_SECONDS = 0.5


class Reporting:
    """One report at a time: a later one is made of a later state."""

    def __init__(self, pod: PodState) -> None:
        self.pod = pod
        self.lock = asyncio.Lock()

    async def announce(self) -> None:
        """Say ContainerCreating of a pod that takes its time; one that starts at once is spared the write."""
        await asyncio.sleep(_ANNOUNCE_SECONDS)
        if not self._known().get("containerStatuses") and not self.pod.gone and not self.pod.final[0]:
            with contextlib.suppress(ApiError):
                await self.report()

    async def report(self) -> None:
        async with self.lock:
            await self._write()

    async def _write(self) -> None:
        pod, wanted, known = self.pod, status.pod_status(self._view()), self._known()
        if all(known.get(name) == value for name, value in wanted.items()):
            return
        body = {"metadata": {"uid": pod.uid}, "status": wanted}
        answer = await pod.host.client.patch(
            PODS, pod.name, body, pod.namespace, kind="strategic", subresource="status", field_manager="kubelet"
        )
        if answer["metadata"]["uid"] == pod.uid and _newer(answer, pod.pod):
            pod.pod = answer

    def _view(self) -> View:
        pod = self.pod
        return View(
            pod=pod.pod,
            containers=pod.containers,
            address=pod.address or self._known().get("podIP", ""),
            host=network.NODE_ADDRESS,
            now=status.seconds(logs.now()),
            sandbox=pod.place is not None,
            taken=pod.taken,
            final=pod.final,
            deleting=bool(pod.pod["metadata"].get("deletionTimestamp")),
        )

    def _known(self) -> Object:
        return self.pod.pod.get("status") or {}


def _newer(one: Object, other: Object) -> bool:
    return int(one["metadata"].get("resourceVersion") or 0) > int(other["metadata"].get("resourceVersion") or 0)
