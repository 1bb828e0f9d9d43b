"""What the API streams from the node: logs, exec, attach, port-forward, and the proxies to pods, Services and the node.

`HANDLERS` is what the API server routes by (storage name, subresource). A handler is called after authentication, authorization and
CONNECT admission; it finds the object, refuses with Kubernetes's words, and answers with a stream or takes the connection over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.api.streams import execute, forward, log, proxy

if TYPE_CHECKING:
    from kubesim.api.verbs import Handler

HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("pods", "log"): log.handle,
    ("pods", "exec"): execute.run,
    ("pods", "attach"): execute.attach,
    ("pods", "portforward"): forward.handle,
    ("pods", "proxy"): proxy.pods,
    ("services", "proxy"): proxy.services,
}
