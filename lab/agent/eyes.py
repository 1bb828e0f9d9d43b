"""What the agent sees: changes in the cluster as they happen, and changes of the tenants' own credential files."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import urllib3.exceptions

from lab.errors import LabError
from lab.kube import Cluster, Kind, Object
from lab.settings import Settings, Tenant

log = logging.getLogger(__name__)

_CORE = ("namespaces", "pods", "services", "serviceaccounts", "resourcequotas", "persistentvolumeclaims")
_RBAC = "rbac.authorization.k8s.io/v1"
KINDS: tuple[Kind, ...] = (
    *(Kind("v1", plural, True) for plural in _CORE),
    Kind("apps/v1", "deployments", True),
    Kind(_RBAC, "rolebindings", True),
    Kind(_RBAC, "clusterrolebindings", False),
    Kind("kubeflow.org/v1", "profiles", False),
    Kind("kubeflow.org/v1alpha1", "poddefaults", True),
)
EVERYBODYS = ("kubeflow", "mlflow-system")
PAUSE = 1.0
_WATCH_SECONDS = "280"


def affected(item: Object, people: Iterable[Tenant]) -> list[str] | None:
    """The numbers of the tenants that a changed object may matter to; None for all of them. Pure."""
    meta = item.get("metadata") or {}
    where, name = str(meta.get("namespace") or ""), str(meta.get("name") or "")
    if where in EVERYBODYS:
        return None
    own = [one.num for one in people if where == one.namespace or (not where and name in (one.namespace, one.profile))]
    if own or where or item.get("kind") in ("Namespace", "Profile"):
        return own
    return None


def changes(
    cluster: Cluster, kind: Kind, *, query: dict[str, str] | None = None, namespace: str = ""
) -> Iterator[Object]:
    """Every object once, then every change, for ever: {"type": ..., "object": ...}. A lost connection is made again."""
    stop = threading.Event()
    while True:
        try:
            yield from _once(cluster, kind, query or {}, namespace)
        except (LabError, OSError, ValueError, KeyError, urllib3.exceptions.HTTPError) as error:
            log.debug("%s: %r", kind.plural, error)
        stop.wait(PAUSE)


def _once(cluster: Cluster, kind: Kind, query: dict[str, str], namespace: str) -> Iterator[Object]:
    path = kind.path(namespace)
    found = cluster.request("GET", path, query=query)
    for item in found.get("items") or []:
        yield {"type": "LISTED", "object": item}
    version = str(found["metadata"]["resourceVersion"])
    follow = {"watch": "true", "resourceVersion": version, "timeoutSeconds": _WATCH_SECONDS}
    for line in cluster.lines(path, query | follow):
        event = json.loads(line)
        if event["type"] == "ERROR":
            return
        yield event


def watch(cluster: Cluster, people: Callable[[], Iterable[Tenant]], touch: Callable[[list[str] | None], None]) -> None:
    """Starts a thread a kind; they end with the process. What is merely listed touches nobody: everybody is checked at the start anyway."""

    def look(kind: Kind) -> None:
        for event in changes(cluster, kind):
            if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                numbers = affected(event["object"], people())
                if numbers is None or numbers:
                    touch(numbers)

    for kind in KINDS:
        threading.Thread(target=look, args=(kind,), name=f"watch-{kind.plural}", daemon=True).start()


class Files:
    """Which tenants' credential files were written since the last look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[str, tuple[float, ...]] = {}

    def changed(self, people: Iterable[Tenant]) -> list[str]:
        found = {one.num: stamps(self._settings, one) for one in people}
        moved = [num for num, stamp in found.items() if self._seen.get(num, stamp) != stamp]
        self._seen = found
        return moved


def stamps(settings: Settings, tenant: Tenant) -> tuple[float, ...]:
    """Times of writing of a tenant's kubeconfig and AWS keys; 0 for one that is not there."""
    folder = settings.state / "users" / tenant.user
    return tuple(_written(folder / name) for name in ("kubeconfig", "aws.ini"))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
