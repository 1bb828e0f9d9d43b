"""`invoke logs`: the log of a workload's pods, or of one of the lab's own background processes."""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import LabError
from lab.host.processes import Daemon
from lab.kube import Cluster, Object
from lab.messages import t
from lab.world import World

DAEMONS = ("kubesim", "awssim")


def logs(world: World, name: str, *, namespace: str, follow: bool, tail: int) -> Iterator[str]:
    """Lines of the newest pod whose name starts with `name`, or of a daemon of that name."""
    if name in DAEMONS:
        return iter(Daemon(name, world.settings.state).tail(tail).splitlines())
    pod = _pod(world.cluster, name, namespace)
    meta = pod["metadata"]
    query = {"tailLines": str(tail), "container": pod["spec"]["containers"][0]["name"]} | (
        {"follow": "true"} if follow else {}
    )
    return world.cluster.lines(world.cluster.kind("v1", "Pod").path(meta["namespace"], meta["name"], "log"), query)


def _pod(cluster: Cluster, name: str, namespace: str) -> Object:
    pods = [pod for pod in cluster.list("v1", "Pod", namespace) if pod["metadata"]["name"].startswith(name)]
    if not pods:
        where = t("in namespace {namespace}", namespace=namespace) if namespace else t("in any namespace")
        raise LabError(
            t("no pod whose name starts with {name!r} {where}", name=name, where=where),
            t("./inv status lists workloads; {names} are the lab's own", names=t(" and ").join(DAEMONS)),
        )
    if not namespace and len({pod["metadata"]["namespace"] for pod in pods}) > 1:
        spaces = sorted({pod["metadata"]["namespace"] for pod in pods})
        raise LabError(
            t(
                "{name!r} is in {count} namespaces: {names}, ...",
                name=name,
                count=len(spaces),
                names=", ".join(spaces[:4]),
            ),
            f"./inv logs {name} --namespace {spaces[0]}",
        )
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
