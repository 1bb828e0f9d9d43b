"""The controllers and the scheduler: clients of the API, nothing else. `run_all` runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from kubesim.client import Client
from kubesim.controllers.autoscaler import Autoscalers
from kubesim.controllers.budget import Budgets
from kubesim.controllers.clock import Clock, SystemClock
from kubesim.controllers.cronjob import CronJobs
from kubesim.controllers.daemonset import DaemonSets
from kubesim.controllers.deployment import Deployments
from kubesim.controllers.endpoints import EndpointsController
from kubesim.controllers.garbage import GarbageCollector
from kubesim.controllers.job import Jobs
from kubesim.controllers.mirroring import Mirroring
from kubesim.controllers.namespace import Namespaces
from kubesim.controllers.nodes import Nodes, TaintEviction
from kubesim.controllers.pods import PodCollector
from kubesim.controllers.provisioner import EphemeralClaims, Provisioner
from kubesim.controllers.quota import Quotas
from kubesim.controllers.replicaset import ReplicaSets, ReplicationControllers
from kubesim.controllers.roles import Aggregation
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.controllers.scheduler import Scheduler
from kubesim.controllers.serviceaccount import Issue, RootCertificates, ServiceAccounts, TokenSecrets
from kubesim.controllers.signing import Sign, Signing
from kubesim.controllers.slices import Slices
from kubesim.controllers.statefulset import StatefulSets
from kubesim.controllers.ttl import FinishedJobs
from kubesim.controllers.volume import Claims, Protection, Volumes
from kubesim.resources import Resource


def controllers(
    cluster: Cluster,
    *,
    discover: Callable[[], Sequence[Resource]],
    ca: str,
    sign: Sign | None,
    issue: Issue | None,
) -> list[Controller]:
    """Everything kube-controller-manager runs here."""
    signers = [Signing(cluster, sign=sign)] if sign is not None else []
    return [
        *signers,
        Namespaces(cluster, discover=discover),
        ServiceAccounts(cluster),
        RootCertificates(cluster, ca=ca),
        TokenSecrets(cluster, ca=ca, issue=issue),
        Deployments(cluster),
        ReplicaSets(cluster),
        ReplicationControllers(cluster),
        Jobs(cluster),
        StatefulSets(cluster),
        Claims(cluster),
        Volumes(cluster),
        Protection(cluster),
        EphemeralClaims(cluster),
        DaemonSets(cluster),
        CronJobs(cluster),
        FinishedJobs(cluster),
        Autoscalers(cluster, discover=discover),
        Budgets(cluster),
        Quotas(cluster, discover=discover),
        Aggregation(cluster),
        Nodes(cluster),
        TaintEviction(cluster),
        EndpointsController(cluster),
        Slices(cluster),
        Mirroring(cluster),
        PodCollector(cluster),
        GarbageCollector(cluster, discover=discover),
    ]


async def run_all(
    client_for: Callable[[str], Client],
    *,
    discover: Callable[[], Sequence[Resource]],
    ca: str,
    sign: Sign | None = None,
    issue: Issue | None = None,
    volumes: Path | None = None,
    clock: Clock | None = None,
    host: str = "kubesim",
) -> None:
    """Run every controller and the scheduler until cancelled. The two share their informers: one watch per kind.

    `volumes` is the folder for dynamically provisioned volumes; without it there are none. `discover` answers the kinds served at the moment.
    """
    clock = clock or SystemClock()
    manager = Cluster(client_for("kube-controller-manager"), clock, host=host)
    found = controllers(manager, discover=discover, ca=ca, sign=sign, issue=issue)
    if volumes is not None:
        found.append(Provisioner(manager, folder=volumes))
    found.append(Scheduler(manager.on_behalf(client_for("kube-scheduler"))))
    async with asyncio.TaskGroup() as group:
        group.create_task(manager.run(), name="informers")
        for controller in found:
            group.create_task(controller.run(), name=controller.name)
