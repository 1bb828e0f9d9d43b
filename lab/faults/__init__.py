"""What can be broken on purpose: the one registry, in the order in which the guides teach the cases."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import cluster, storage
from lab.faults.base import Fault
from lab.messages import t

_ORDER = (
    *(
        "unauthorized-kubeconfig",
        "owner-mismatch",
        "s3-access-denied",
        "poddefault-missing",
        "mlflow-down",
        "cross-tenant-access",
    ),
    *("bucket-missing", "ecr-missing", "quota-exhausted", "postgres-down", "image-not-found", "pvc-unbound"),
)
_ALL = {fault.name: fault for fault in (*cluster.FAULTS, *storage.FAULTS)}
REGISTRY: tuple[Fault, ...] = tuple(_ALL[name] for name in _ORDER)


def find(name: str) -> Fault:
    if name not in _ALL:
        raise LabError(t("no fault {name!r}", name=name), t("one of: {names}", names=", ".join(_ORDER)))
    return _ALL[name]
