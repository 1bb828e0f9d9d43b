"""What happens during a load: pods killed at a given second, without a word of warning to anyone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import LabError
from lab.kube import Cluster, Object
from lab.messages import t

MLFLOW, SERVING = ("mlops-training", "app=mlflow-server"), ("mlops-serving", "app=iris-serving")


@dataclass(frozen=True)
class Event:
    """`action` is called `time` seconds after the start and says what it did."""

    time: float
    action: Callable[[], str]


@dataclass(frozen=True)
class Happened:
    """What was done, and when it really was."""

    time: float
    what: str


def kill(cluster: Cluster, namespace: str, labels: str) -> str:
    """End one running pod at once, without grace: `kubectl delete pod --grace-period=0 --force`. Its requests under way are lost with it."""
    pods = [pod for pod in cluster.list("v1", "Pod", namespace, labels=labels) if _runs(pod)]
    if not pods:
        return t("no pod {labels} in {namespace} to kill", labels=labels, namespace=namespace)
    name = str(random.choice(pods)["metadata"]["name"])
    path = cluster.kind("v1", "Pod").path(namespace, name)
    cluster.request("DELETE", path, {"gracePeriodSeconds": 0})
    return t("killed {name}", name=name)


def _runs(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def planned(cluster: Cluster, *, kill_pod_at: str, kill_mlflow_at: str, seconds: float) -> list[Event]:
    """The events of the options, in order. Raises LabError for what is no second of this load."""
    chosen = (("--kill-pod-at", kill_pod_at, SERVING), ("--kill-mlflow-at", kill_mlflow_at, MLFLOW))
    found = []
    for option, text, (namespace, labels) in chosen:
        for part in filter(None, text.split(",")):
            time = _second(option, part, seconds)
            found.append(Event(time, lambda namespace=namespace, labels=labels: kill(cluster, namespace, labels)))  # type: ignore[misc]
    return sorted(found, key=lambda event: event.time)


def _second(option: str, text: str, seconds: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= seconds:
        raise LabError(
            t(
                "{option} is {text!r}, not a second of this load (0 to {seconds:g})",
                option=option,
                text=text,
                seconds=seconds,
            ),
            t("./inv load {option} 30 or {option} 30,60", option=option),
        )
    return value
