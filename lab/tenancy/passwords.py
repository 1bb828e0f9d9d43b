"""Passwords of PostgreSQL and its databases: made once, kept in the cluster's Secrets and nowhere else."""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections.abc import Collection, Iterable

from lab.kube import Cluster
from lab.tenancy import tenants

NAMESPACE = "mlflow-system"


def superuser(cluster: Cluster) -> None:
    """Secret `postgres` with the superuser's password, unless it is there."""
    if cluster.find("v1", "Secret", "postgres", NAMESPACE) is None:
        cluster.apply(tenants.secret("postgres", NAMESPACE, {"POSTGRES_PASSWORD": secrets.token_urlsafe(24)}))


def databases(cluster: Cluster, names: Iterable[str]) -> dict[str, str]:
    """The password of every database named or known, also written to Secret `mlflow-databases`, which the Job of that name reads."""
    found = cluster.find("v1", "Secret", "mlflow-databases", NAMESPACE) or {}
    known = {name: b64decode(value).decode() for name, value in (found.get("data") or {}).items()}
    wanted = {name: known.get(name) or secrets.token_urlsafe(24) for name in {*known, *names}}
    if wanted != known:
        cluster.apply(tenants.secret("mlflow-databases", NAMESPACE, wanted))
    return wanted


def forget(cluster: Cluster, names: Collection[str]) -> dict[str, str]:
    """The passwords that are left when these databases are gone; apply takes away what it once wrote and writes no more."""
    left = {name: password for name, password in databases(cluster, ()).items() if name not in names}
    cluster.apply(tenants.secret("mlflow-databases", NAMESPACE, left))
    return left
