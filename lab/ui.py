"""`invoke ui`: start the agent, and sign somebody in to the dashboard with a one-time code.

A code is got with a token that Kubernetes makes for the dashboard alone, asked for with the person's own credentials: the administrator's for the
instructor's page, a tenant's kubeconfig for a tenant's. No password exists, and no token reaches the browser or a URL: the address that is
printed holds the code after a #, which browsers do not send.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import ClusterError, LabError
from lab.kube import Cluster, Kind
from lab.messages import t
from lab.settings import ROOT, Tenant
from lab.world import World

AUDIENCE = "centraldashboard"
SYSTEM = "kubeflow"
AGENT = "agent"
"""Its background process, which runs the checks for the dashboard."""
_ACCOUNTS = Kind("v1", "serviceaccounts", True)
_TOKEN_SECONDS = 600


@dataclass(frozen=True)
class Invitation:
    """What to open or to type within two minutes; `page` alone is the dashboard's address."""

    who: str
    page: str
    code: str

    @property
    def url(self) -> str:
        return f"{self.page}/sign-in#{self.code}"


def start_agent(world: World) -> bool:
    """True where it was started now; one that runs is left alone."""
    daemon = world.daemon(AGENT)
    if daemon.pid() is not None:
        return False
    daemon.stop()
    # It acts for whoever typed this, so it has the same environment, AWS settings too.
    environ = dict(os.environ) | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environ |= {"LAB_STATE": str(world.settings.state), "LAB_CLUSTER": world.provider.name, "LAB_AWS": world.aws.name}
    daemon.start([sys.executable, "-m", "lab.agent"], environ=environ)
    return True


def invite(world: World, tenant: Tenant | None) -> Invitation:
    """For the instructor, or as a tenant."""
    port = world.settings.ports.dashboard
    page = f"http://dashboard.localhost:{port}"
    asked = [t("POST http://127.0.0.1:{port}/codes", port=port)]
    if tenant is None:
        made = token(world.cluster, SYSTEM, "instructor")
        world.outside(asked)
        return Invitation("instructor", page, _code(port, made))
    made = token(world.cluster_as(tenant), tenant.namespace, "default-editor")
    world.outside(asked)
    return Invitation(tenant.user, page, _code(port, made))


def token(cluster: Cluster, namespace: str, account: str) -> str:
    """A token of a service account that only the dashboard takes, good for ten minutes."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [AUDIENCE], "expirationSeconds": _TOKEN_SECONDS},
    }
    made = cluster.request("POST", _ACCOUNTS.path(namespace, account, "token"), body)
    return str(made["status"]["token"])


def _code(port: int, made: str, *, patience: float = 40.0, clock: Callable[[], float] = time.monotonic) -> str:
    """Asked for until the dashboard answers: after `up` it may need a moment."""
    deadline = clock() + patience
    while True:
        try:
            return _ask(port, made)
        except (OSError, http.client.HTTPException) as error:
            if clock() > deadline:
                raise ClusterError(
                    t("the dashboard on port {port} does not answer ({error})", port=port, error=type(error).__name__),
                    t(
                        "./inv status shows whether it runs; ./inv logs centraldashboard --namespace kubeflow says why not"
                    ),
                ) from None
            time.sleep(0.2)


def _ask(port: int, made: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/codes", headers={"Authorization": f"Bearer {made}", "Content-Length": "0"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status == 503:
        raise ConnectionError(text)
    if answer.status != 200:
        raise LabError(t("the dashboard refused: {text}", text=text.strip()), t("is the lab up to date? ./inv up"))
    return str(json.loads(text)["code"])


def open_browser(url: str) -> bool:
    """Where there is a screen; the address is printed anyway."""
    import webbrowser

    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("WSL_DISTRO_NAME")):
        return False
    return webbrowser.open(url)
