"""A controller as a running program: eyes (kopf), a work queue, probes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from kubeflow_lite import health
from kubeflow_lite.kube.config import Access
from kubeflow_lite.objects import Object
from kubeflow_lite.watching import Kind, watch
from kubeflow_lite.workqueue import WorkQueue

log = logging.getLogger(__name__)


class Controller(Protocol):
    def noticed(self, event: str | None, obj: Object) -> str | None:
        """The key to reconcile because of this event, or None."""
        ...

    async def reconcile(self, key: str) -> None:
        """Make the cluster as the object `key` wants it. Idempotent; may raise, and is then called again."""
        ...


async def run(controller: Controller, access: Access, kinds: Sequence[Kind], *, address: str, port: int) -> None:
    """Run until SIGTERM or SIGINT."""
    queue = WorkQueue(controller.reconcile)
    ready = asyncio.Event()
    async with health.serving(health.application(ready.is_set), address, port) as bound:
        log.info("probes on port %d", bound)
        worker = asyncio.create_task(queue.run())
        try:
            await watch(access, kinds, noticed=controller.noticed, add=queue.add, ready=ready)
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
