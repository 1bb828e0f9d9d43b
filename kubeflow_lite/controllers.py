"""A controller as a running program: eyes, a work queue, probes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from kubeflow_lite import health
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.objects import Object
from kubeflow_lite.watching import Kind, watch_children, watch_own
from kubeflow_lite.workqueue import WorkQueue

log = logging.getLogger(__name__)


class Controller(Protocol):
    def noticed(self, event: str | None, obj: Object) -> str | None:
        """The key to reconcile because of this event, or None."""
        ...

    async def reconcile(self, key: str) -> None:
        """Make the cluster as the object `key` wants it. Idempotent; may raise, and is then called again."""
        ...


async def run(
    controller: Controller, client: Client, access: Access, kinds: Sequence[Kind], *, address: str, port: int
) -> None:
    """Run until SIGTERM or SIGINT. The first of `kinds` is the controller's own, the others are its children."""
    queue = WorkQueue(controller.reconcile)
    ready = asyncio.Event()

    def noticed(event: str | None, obj: Object) -> None:
        if key := controller.noticed(event, obj):
            queue.add(key)

    own, *children = kinds
    async with health.serving(health.application(ready.is_set), address, port) as bound:
        log.info("probes on port %d", bound)
        work = [queue.run(), *(watch_children(client, kind, noticed) for kind in children)]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            await watch_own(access, own, noticed, ready)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
