"""Manifests to the cluster, and waiting until what they describe is ready; a wait that fails says why in Kubernetes's own words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TypeAlias, TypeVar

from lab.errors import ClusterError, LabError
from lab.kube import Cluster, Object, Refused, manifests, ready
from lab.messages import t

T = TypeVar("T")
Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name."""


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
    waiting, deadline = {_key(item): item for item in objects}, time.monotonic() + seconds
    try:
        for api_version, kind in {(item["apiVersion"], item["kind"]): None for item in waiting.values()}:
            left = deadline - time.monotonic()
            cluster.wait(Look(cluster, api_version, kind, waiting), seconds=left, cancelled=cancelled, every=0)
    except ClusterError as error:
        reasons = [line for item in list(waiting.values())[:3] for line in why(cluster, item)]
        raise ClusterError("\n  ".join([error.message, *dict.fromkeys(reasons)]), error.hint) from None


def _key(item: Object) -> Key:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


@dataclass
class Look:
    """Takes what has become ready of one kind out of `waiting`: from one list, then from what changes, for a second per call."""

    cluster: Cluster
    api_version: str
    kind: str
    waiting: dict[Key, Object]
    namespace: str = ""
    since: str = ""

    def __call__(self) -> str | None:
        """What is still missing, None where nothing is."""
        for item in self._changed() if self.since else self._listed():
            key = _key(item)
            if key in self.waiting:
                _give_up_early(item)
                self.waiting[key] = item
                if ready.missing(item) is None:
                    del self.waiting[key]
                    if not self._wanted():
                        return None
        return "; ".join(_missing(self.waiting[key]) for key in self._wanted()[:3]) or None

    def _wanted(self) -> list[Key]:
        return [key for key in self.waiting if key[0] == self.kind]

    def _listed(self) -> list[Object]:
        namespaces = {namespace for _, namespace, _ in self._wanted()}
        self.namespace = namespaces.pop() if len(namespaces) == 1 else ""
        items, self.since = self.cluster.snapshot(self.api_version, self.kind, self.namespace)
        return items

    def _changed(self) -> Iterator[Object]:
        """Nothing more, and a list the next time, where the cluster no longer knows what was before."""
        for event, item in self.cluster.changes(
            self.api_version, self.kind, self.namespace, since=self.since, seconds=1
        ):
            if event == "ERROR":
                self.since = ""
                return
            self.since = item["metadata"]["resourceVersion"]
            if event != "DELETED":
                yield item


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
