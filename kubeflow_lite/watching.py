"""What a controller sees: its own kind through kopf, the children through plain watches.

kopf follows CRDs as they come and go, signs in again, survives lost connections and expired versions, and ends the program on SIGTERM. Only
its low-level events are used: they keep no bookkeeping in the objects (no annotations, no finalizer of kopf's own), so what a tenant sees on
a Profile is what stock Kubeflow puts there; deciding and retrying is the `WorkQueue`'s. Children are ten times as many and each event costs
kopf 2 ms, so those come through `kube.watch.events`, at a twentieth of that.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import TOKEN_SECONDS, Access, Token
from kubeflow_lite.kube.watch import events
from kubeflow_lite.objects import Object

Noticed = Callable[[str | None, Object], None]
"""Takes an event's type (None for an object found by listing) and its object."""


@dataclass(frozen=True)
class Kind:
    """What to watch, and with which label selector on the server's side."""

    group: str
    version: str
    plural: str
    kind: str
    labels: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


async def watch_children(client: Client, kind: Kind, noticed: Noticed) -> None:
    """Until cancelled."""
    async for event in events(client, f"{kind.api_version}/{kind.plural}", labels=kind.labels):
        noticed(event.type, {**event.object, "apiVersion": kind.api_version, "kind": kind.kind})


async def watch_own(access: Access, kind: Kind, noticed: Noticed, ready: asyncio.Event) -> None:
    """Until SIGTERM or SIGINT. `ready` is set when the watch is about to open."""
    registry = kopf.OperatorRegistry()
    _login(registry, access)

    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        noticed(event["type"], {**event["object"], "apiVersion": kind.api_version, "kind": kind.kind})

    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id="seen")(seen)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    operator = kopf.operator(
        registry=registry, settings=_settings(), clusterwide=True, standalone=True, ready_flag=ready
    )
    await _until_signalled(asyncio.create_task(operator), ready)


async def _until_signalled(operator: asyncio.Task[None], ready: asyncio.Event) -> None:
    """End the operator by cancelling it: on a signal of its own kopf waits five seconds for every task it did not start."""
    started = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait((operator, started), return_when=asyncio.FIRST_COMPLETED)
        for number in (signal.SIGTERM, signal.SIGINT):  # in place of kopf's own, which it has set by now
            asyncio.get_running_loop().add_signal_handler(number, operator.cancel)
        await asyncio.wait((operator,))
    finally:
        started.cancel()
        operator.cancel()
        await asyncio.wait((operator,))
    if not operator.cancelled():
        await operator


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = 10
    settings.queueing.idle_timeout = 1.0
    return settings


def _login(registry: kopf.OperatorRegistry, access: Access) -> None:
    token = Token(access)

    async def login(**_: Any) -> kopf.ConnectionInfo:
        fresh = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS) if access.token_file else None
        return kopf.ConnectionInfo(
            server=access.server,
            ca_data=access.ca or None,
            insecure=access.insecure or None,
            token=token.current() or None,
            certificate_data=access.certificate or None,
            private_key_data=access.key or None,
            expiration=fresh,
        )

    kopf.on.login(registry=registry, id="login")(login)
