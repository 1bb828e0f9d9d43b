"""Making room for a pod of higher priority: which pods of lower priority would have to go. Pure.

On each node all pods of lower priority are taken away in thought; if the pod then fits, as many as possible are put back, the most important
first. The node whose victims matter least is chosen. Unlike Kubernetes, PodDisruptionBudgets are not consulted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kubesim.controllers import filters
from kubesim.controllers.filters import NodeInfo, Pending
from kubesim.resources import Object


def priority_of(pod: Object) -> int:
    return int(pod["spec"].get("priority") or 0)


def may_preempt(pod: Object) -> bool:
    return bool(pod["spec"].get("preemptionPolicy", "PreemptLowerPriority") != "Never")


def choose(pending: Pending, infos: Iterable[NodeInfo]) -> tuple[NodeInfo, list[Object]] | None:
    """The node to make room on and the pods that have to go; None where nothing helps."""
    found = [(info, gone) for info in infos if (gone := victims(pending, info))]
    return min(found, key=lambda choice: _cost(choice[1]), default=None)


def victims(pending: Pending, info: NodeInfo) -> list[Object]:
    """The fewest and least important pods whose absence lets the pod run on the node; empty where that is not possible or not needed."""
    limit = priority_of(pending.pod)
    lower = [uid for uid, pod in info.pods.items() if priority_of(pod) < limit]
    rest = without(info, lower)
    if not lower or _refused(pending, rest):
        return []
    gone = []
    for uid in sorted(lower, key=lambda uid: -priority_of(info.pods[uid])):
        kept = replace(rest, pods=rest.pods | {uid: info.pods[uid]}, requests=rest.requests | {uid: info.requests[uid]})
        if _refused(pending, kept):
            gone.append(info.pods[uid])
        else:
            rest = kept
    return gone


def without(info: NodeInfo, uids: Iterable[str]) -> NodeInfo:
    away = set(uids)
    return NodeInfo(
        info.node,
        {uid: pod for uid, pod in info.pods.items() if uid not in away},
        {uid: asked for uid, asked in info.requests.items() if uid not in away},
    )


def _refused(pending: Pending, trial: NodeInfo) -> bool:
    nodes = [trial if info.name == trial.name else info for info in pending.nodes]
    return bool(filters.refusal(replace(pending, nodes=nodes), trial))


def _cost(gone: list[Object]) -> tuple[int, int, int]:
    priorities = [priority_of(pod) for pod in gone]
    return max(priorities), sum(priorities), len(priorities)
