"""Manifests to the cluster, and waiting until what they describe is ready; a wait that fails says why in Kubernetes's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from lab import manifests, ready
from lab.errors import ClusterError, LabError
from lab.kube import Cluster, Object, Refused
from lab.messages import t

T = TypeVar("T")


def apply(cluster: Cluster, objects: Sequence[Object]) -> list[Object]:
    """Server-side apply, in the order a cluster takes them."""
    return [_apply(cluster, item) for item in manifests.ordered(objects)]


def _apply(cluster: Cluster, item: Object) -> Object:
    try:
        return cluster.apply(item)
    except Refused as error:
        raise Refused(
            f"{ready.title(item)}: {error.message}", code=error.code, reason=error.reason, hint=error.hint
        ) from None


def rerun(cluster: Cluster, job: Object) -> None:
    """A Job's template cannot change: the old one goes, with its pods, and the new one runs."""
    meta = job["metadata"]
    cluster.delete("batch/v1", "Job", meta["name"], meta["namespace"], propagation="Foreground")
    cluster.wait(
        lambda: (
            t("old {title} still there", title=ready.title(job))
            if cluster.find("batch/v1", "Job", meta["name"], meta["namespace"])
            else None
        ),
        seconds=30,
        cancelled=Event(),
        every=0.05,
    )
    cluster.create(job)


def until_ready(cluster: Cluster, objects: Iterable[Object], *, cancelled: Event, seconds: float = 180) -> None:
    """Until every one is ready. Raises ClusterError with the objects that are not and the reason their pods give."""
    waiting = {
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item for item in objects
    }
    kinds = {(item["apiVersion"], item["kind"]) for item in waiting.values()}

    def unready() -> str | None:
        for api_version, kind in kinds:
            for item in _listed(cluster, api_version, kind, waiting):
                key = (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
                _give_up_early(item)
                if ready.missing(item) is None:
                    waiting.pop(key, None)
        return "; ".join(_missing(item) for item in list(waiting.values())[:3]) or None

    try:
        cluster.wait(unready, seconds=seconds, cancelled=cancelled)
    except ClusterError as error:
        reasons = [line for item in list(waiting.values())[:3] for line in why(cluster, item)]
        raise ClusterError("\n  ".join([error.message, *dict.fromkeys(reasons)]), error.hint) from None


def _listed(cluster: Cluster, api_version: str, kind: str, waiting: dict[tuple[str, str, str], Object]) -> list[Object]:
    """One list per kind and look, not one get per object."""
    wanted = {key for key in waiting if key[0] == kind}
    if not wanted:
        return []
    namespaces = {namespace for _, namespace, _ in wanted}
    items = cluster.list(api_version, kind, namespaces.pop() if len(namespaces) == 1 else "")
    return [item for item in items if (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]) in wanted]


def _missing(item: Object) -> str:
    return ready.missing(item) or t("{title}: not there", title=ready.title(item))


def _give_up_early(item: Object) -> None:
    failed = ready.condition(item, "Failed")
    if failed.get("status") == "True":
        raise ClusterError(
            t(
                "{title} failed: {reason}: {message}",
                title=ready.title(item),
                reason=failed.get("reason"),
                message=failed.get("message"),
            )
        )


def why(cluster: Cluster, item: Object) -> list[str]:
    """The reason an object's pods give for not being ready."""
    namespace = item["metadata"].get("namespace", "")
    if not namespace:
        return []
    try:
        pods = [
            pod
            for pod in cluster.list("v1", "Pod", namespace)
            if pod["metadata"]["name"].startswith(item["metadata"]["name"])
        ]
        return ready.explain(pods, cluster.list("v1", "Event", namespace))
    except LabError:
        return []


def each(work: Callable[[T], None], items: Sequence[T], *, width: int = 8) -> None:
    """`work` on every item, side by side; the first failure is raised after the others ended."""
    with ThreadPoolExecutor(max_workers=max(1, min(width, len(items)))) as pool:
        for future in [pool.submit(work, item) for item in items]:
            future.result()
