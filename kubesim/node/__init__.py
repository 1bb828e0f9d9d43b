"""The node of kubesim: images, containers as processes, volumes, addresses, DNS, probes, logs and the service proxy.

The node is a client of the API (`kubesim.client.Client`) and knows nothing of the store. What must outlive the API server lives in
processes of its own: a *shim* is the parent of containers (`kubesim.node.shim`), the *proxy* carries Services (`kubesim.node.proxy`).
Both speak lines of JSON on a unix socket under the state directory and go on alone when the server is killed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kubesim.client import Client
    from kubesim.node.kubelet import Node


class Settings(Protocol):
    """What the node needs of `kubesim.server.Settings`."""

    @property
    def state(self) -> Path: ...

    @property
    def name(self) -> str: ...


def start(client: Client, settings: Settings) -> Node:
    """The node of a cluster, not yet running: `await node.run()`, and `await node.stop(containers=...)` at the end.

    KUBESIM_PRIVATE_ROOTS=0 in the environment does without mount namespaces, 1 insists on them; else they are tried.
    """
    from kubesim.node.host import Options
    from kubesim.node.kubelet import Node

    namespaces = {"0": False, "1": True}.get(os.environ.get("KUBESIM_PRIVATE_ROOTS", ""))
    return Node(client, Options(state=settings.state.resolve(), name=f"{settings.name}-node", namespaces=namespaces))
