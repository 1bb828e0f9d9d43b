"""Manners on a cluster that is not the lab's own: nothing is taken over, and what was made is removed, in order, and waited for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Event

from lab.clusters.footprint import Ref, ordered
from lab.errors import ClusterError, LabError
from lab.kube import Cluster, NotServed
from lab.messages import t

PATIENCE = 60.0
"""Seconds that a Profile's operator has to finish."""


def require_none(cluster: Cluster, refs: Sequence[Ref], where: str) -> None:
    """Raises LabError naming what is there already: the lab would change it now and delete it later."""
    found = [ref for ref in refs if _exists(cluster, ref)]
    if found:
        names = ", ".join(map(str, found[:5])) + (
            t(" and {found} more", found=len(found) - 5) if len(found) > 5 else ""
        )
        raise LabError(
            t("{where} has already what the lab would make: {names}; nothing was changed", where=where, names=names),
            t("use another cluster, or remove them if they are left over from a lab whose folder is gone"),
        )


def _exists(cluster: Cluster, ref: Ref) -> bool:
    try:
        return cluster.find(ref.api_version, ref.kind, ref.name, ref.namespace) is not None
    except NotServed:
        return False


def remove(cluster: Cluster, refs: Sequence[Ref]) -> None:
    """Group by group, each waited for; a Profile whose operator is gone lets go of its finalizer."""
    for group in ordered(refs):
        there = [ref for ref in group if _exists(cluster, ref)]
        for ref in there:
            cluster.delete(ref.api_version, ref.kind, ref.name, ref.namespace, propagation="Foreground")
        try:
            _until_gone(cluster, there, seconds=PATIENCE)
        except ClusterError:
            for ref in (left for left in there if left.kind == "Profile" and _exists(cluster, left)):
                cluster.patch(ref.api_version, ref.kind, ref.name, {"metadata": {"finalizers": None}}, ref.namespace)
            _until_gone(cluster, there, seconds=120)


def _until_gone(cluster: Cluster, refs: Sequence[Ref], *, seconds: float) -> None:
    """`seconds` are each one's: a class of sixteen on a busy cluster takes its time, one that does not move at all is a failure."""
    for ref in refs:
        cluster.wait(partial(_left, cluster, ref), seconds=seconds, cancelled=Event(), every=0.3)


def _left(cluster: Cluster, ref: Ref) -> str | None:
    return t("{ref} is still there", ref=ref) if _exists(cluster, ref) else None
