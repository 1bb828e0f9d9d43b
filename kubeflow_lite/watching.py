"""kopf as the eyes of a controller: it lists and watches, survives lost connections and expired versions, and follows CRDs as they come.

Only its low-level events are used. They keep no bookkeeping in the objects (no annotations, no finalizer of kopf's own), so what a tenant
sees on a Profile is what stock Kubeflow puts there; deciding and retrying is the `WorkQueue`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from kubeflow_lite.kube.config import TOKEN_SECONDS, Access, Token
from kubeflow_lite.objects import Object

Noticed = Callable[[str | None, Object], str | None]
"""An event's type (None for an object found by listing) and its object; gives the key that calls for work, or None."""


@dataclass(frozen=True)
class Kind:
    """What to watch, and with which label selector on the server's side."""

    group: str
    version: str
    plural: str
    kind: str
    labels: str = ""


async def watch(
    access: Access, kinds: Sequence[Kind], *, noticed: Noticed, add: Callable[[str], None], ready: asyncio.Event
) -> None:
    """Feed `add` until SIGTERM or SIGINT. `ready` is set when the watches are being opened."""
    registry = kopf.OperatorRegistry()
    _login(registry, access)
    for kind in kinds:
        _feed(registry, kind, noticed, add)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    await kopf.operator(
        registry=registry, settings=_settings(kinds), clusterwide=True, standalone=True, ready_flag=ready
    )


def _settings(kinds: Sequence[Kind]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = 10
    settings.queueing.idle_timeout = 1.0
    for kind in kinds:
        if kind.labels:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.labels
    return settings


def _feed(registry: kopf.OperatorRegistry, kind: Kind, noticed: Noticed, add: Callable[[str], None]) -> None:
    api_version = f"{kind.group}/{kind.version}" if kind.group else kind.version

    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        obj: Object = {**event["object"], "apiVersion": api_version, "kind": kind.kind}
        if key := noticed(event["type"], obj):
            add(key)

    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"seen-{kind.plural}")(seen)


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
