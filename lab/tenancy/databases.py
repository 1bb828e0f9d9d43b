"""MLflow's databases in PostgreSQL: a Job in the cluster makes them and takes them away, so that every kind of cluster takes the same path."""

from __future__ import annotations

from collections.abc import Collection
from threading import Event

from lab.kube import Cluster, Object, manifests, ready
from lab.kube.apply import rerun, until_ready
from lab.kube.manifests import K8S
from lab.tenancy import passwords

JOB, NAMESPACE = "mlflow-databases", passwords.NAMESPACE
MADE = "mlops-lab/databases"


def provide(cluster: Cluster, names: Collection[str], *, cancelled: Event) -> int | None:
    """How many there are now; None where the last Job has made all of them. The Job waits for PostgreSQL itself."""
    wanted = passwords.databases(cluster, names)
    last = cluster.find("batch/v1", "Job", JOB, NAMESPACE)
    if last is not None and ready.missing({"kind": "Job"} | last) is None and _made(last) == set(wanted):
        return None
    _run(cluster, wanted, (), cancelled)
    return len(wanted)


def drop(cluster: Cluster, names: Collection[str]) -> None:
    """Remove databases with all they hold, and their users."""
    left = passwords.forget(cluster, names)
    _run(cluster, left, names, Event())


def _run(cluster: Cluster, wanted: Collection[str], gone: Collection[str], cancelled: Event) -> None:
    job = next(item for item in manifests.read(K8S / "postgres.yaml") if item["kind"] == "Job")
    job["metadata"]["annotations"] = {MADE: " ".join(sorted(wanted))}
    if gone:
        container = job["spec"]["template"]["spec"]["containers"][0]
        container["env"].append({"name": "DATABASES_GONE", "value": " ".join(sorted(gone))})
    rerun(cluster, job)
    until_ready(cluster, [job], cancelled=cancelled)


def _made(job: Object) -> set[str]:
    """The databases that a finished Job has made."""
    return set(str(job["metadata"].get("annotations", {}).get(MADE, "")).split())
