"""Keeps `Rules` in step with NetworkPolicies, pods and namespaces, where they are asked: in the service proxy and in every shim.

While there is no NetworkPolicy nothing is computed and nothing is sent. A pod's address is in the rules before its first container runs
(`settled`), so that nobody is refused whom a policy lets through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from kubesim.controllers.informer import Informer
from kubesim.node import network
from kubesim.node.policies import Peer, compile_rules, peer
from kubesim.node.rules import Rules
from kubesim.resources import Object

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.01
_RETRY_SECONDS = 1.0

Send = Callable[[Rules], Awaitable[None]]


class Isolation:
    """`addresses` answers the pods that have an address now; `frontends` what the proxy serves; `sends` take new rules to where they are asked."""

    def __init__(
        self,
        policies: Informer,
        namespaces: Informer,
        addresses: Callable[[], Mapping[str, Object]],
        frontends: Callable[[], Sequence[network.Frontend]],
        sends: Sequence[Send],
        *,
        offset: int = 0,
    ) -> None:
        self.policies, self.namespaces = policies, namespaces
        self.addresses, self.frontends, self.sends, self.offset = addresses, frontends, sends, offset
        self.rules = Rules()
        self.changed = asyncio.Event()
        self._lock = asyncio.Lock()
        for informer in (policies, namespaces):
            informer.on(lambda old, new: self.changed.set())

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.changed.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            try:
                await self.settled()
            except OSError as error:
                log.warning("network policies: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                self.changed.set()

    async def settled(self) -> None:
        """What is known now is in force. Costs nothing while there are no policies. Raises OSError where the proxy cannot be told."""
        async with self._lock:
            self.changed.clear()
            fresh = self._compiled()
            if fresh != self.rules:
                for send in self.sends:
                    await send(fresh)
                self.rules = fresh

    def _compiled(self) -> Rules:
        policies = list(self.policies.items())
        if not policies:
            return Rules()
        namespaces = {one["metadata"]["name"]: one["metadata"].get("labels") or {} for one in self.namespaces.items()}
        return compile_rules(policies, self._peers(), namespaces, self.frontends(), offset=self.offset)

    def _peers(self) -> list[Peer]:
        return [peer(pod, address) for address, pod in self.addresses().items()]
