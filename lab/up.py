"""`invoke up`: the lab as a visible list of steps, each waiting only for those it needs.

Every step may run again: it makes what is missing and leaves the rest. A second `up` finds the same fingerprint and a lab that answers, and ends
there (`fresh`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from lab import fresh
from lab.aws import resources
from lab.aws.base import Keys
from lab.clusters import credentials, pulls
from lab.clusters.base import IMAGES
from lab.errors import LabError
from lab.kube import Object, manifests
from lab.kube.apply import apply, each, until_ready
from lab.kube.manifests import K8S
from lab.messages import plural, t
from lab.progress import Progress, Step, Steps
from lab.settings import Tenant
from lab.tenancy import databases, passwords, tenants, users
from lab.world import World

NEEDED_DISK = 1_500_000_000  # bytes: images, databases and artifacts of a class


def up(world: World, people: Sequence[Tenant], console: Console) -> list[Progress]:
    """Bring up what is missing; returns how the steps went, nothing where all of it was there."""
    with world.locked():
        world.keep_choice()
        if fresh.is_up(world, people):
            pulls.sign_in(world)
            return []
        _require_disk(world)
        steps = Steps(console, at_once=world.steps_at_once)
        done = steps.run(Up(world, tuple(people), steps).plan())
        pulls.sign_in(world)
        fresh.remember(world, people)
        return done


def _require_disk(world: World) -> None:
    free = shutil.disk_usage(world.settings.state).free
    if free < NEEDED_DISK:
        raise LabError(
            t(
                "{free:.1f} GB free on the disk of {state}, the lab needs {needed:.1f} GB",
                free=free / 1e9,
                state=world.settings.state,
                needed=NEEDED_DISK / 1e9,
            ),
            t("free some, or set LAB_STATE to a folder on another disk"),
        )


@dataclass(frozen=True)
class Up:
    world: World
    people: tuple[Tenant, ...]
    steps: Steps

    def plan(self) -> list[Step]:
        return [
            Step("cluster", f"Kubernetes ({self.world.provider.name})", self.cluster),
            Step("images", t("images"), self.images, after=("cluster",)),
            Step("aws", f"AWS ({self.world.aws.name})", self.aws, after=("cluster",)),
            Step("base", t("namespaces and storage"), self.base, after=("cluster",)),
            Step("kubeflow", "Kubeflow-lite", self.kubeflow, after=("base", "images")),
            Step("postgres", "PostgreSQL", self.postgres, after=("base", "images")),
            Step("accounts", t("buckets, repositories, IAM users"), self.accounts, after=("aws",)),
            Step("certificates", t("tenants' kubeconfigs"), self.certificates, after=("base",)),
            Step("databases", t("databases"), self.databases, after=("base", "images")),
            Step(
                "profiles",
                plural("{count} tenant", "{count} tenants", count=len(self.people)),
                self.profiles,
                after=("kubeflow",),
            ),
            Step("shared", t("shared MLflow and serving"), self.shared, after=("databases", "accounts", "images")),
            Step("mlflow", t("tenants' MLflow servers"), self.mlflow, after=("databases", "accounts", "profiles")),
            Step("settled", t("everything ready"), self.settled, after=("mlflow", "shared")),
        ]

    def cluster(self) -> str | None:
        note = self.world.provider.create()
        users.write_private(self.world.kubeconfig, self.world.provider.kubeconfig().read_text())
        self.world.cluster.request("GET", "/version")
        return note

    def aws(self) -> str | None:
        return self.world.aws.start(self.world.provider.capabilities.host_address)

    def images(self) -> str | None:
        return self.world.provider.load_images(IMAGES)

    def base(self) -> None:
        settings = self.world.settings
        where = {"AWS_ADDRESS": self.world.provider.capabilities.host_address, "AWS_PORT": str(settings.ports.aws)}
        objects = manifests.read(K8S / "01-namespaces.yaml") + manifests.read(K8S / "system.yaml", where)
        objects += [item for item in manifests.read(K8S / "postgres.yaml") if item["kind"] == "Namespace"]
        apply(self.world.cluster, credentials.beside(objects, settings) + manifests.read(K8S / "02-storage.yaml"))
        passwords.superuser(self.world.cluster)

    def kubeflow(self) -> None:
        objects = manifests.with_ports(manifests.read(K8S / "kubeflow"), self.world.settings)
        objects = manifests.with_names(objects, self.world.settings)
        definitions = [item for item in objects if item["kind"] == "CustomResourceDefinition"]
        self._apply_and_wait(definitions)
        others = [item for item in objects if item not in definitions]
        self._apply_and_wait(credentials.beside(others, self.world.settings))

    def postgres(self) -> None:
        objects = [item for item in manifests.read(K8S / "postgres.yaml") if item["kind"] != "Job"]
        self._apply_and_wait(objects)

    def databases(self) -> str:
        names = {"mlflow_shared", *(tenants.database(tenant) for tenant in self.people)}
        made = databases.provide(self.world.cluster, names, cancelled=self.steps.cancelled)
        return plural("{count} database", "{count} databases", count=made) if made else t("all there")

    def accounts(self) -> None:
        there = resources.inventory(self.world.root, self.world.settings)

        def provide(tenant: Tenant) -> None:
            known = users.read_keys(self.world.settings, tenant.user)
            groups = tenants.groups(tenant)
            keys = resources.provide_tenant(
                self.world.root, self.world.settings, tenant, groups=groups, known=known, there=there
            )
            users.write_keys(self.world.settings, tenant.user, keys)

        known = users.read_keys(self.world.settings, resources.SHARED_USER)
        keys = resources.provide_shared(self.world.root, self.world.settings, known=known, there=there)
        users.write_keys(self.world.settings, resources.SHARED_USER, keys)
        each(provide, self.people, width=self.world.at_once)

    def certificates(self) -> None:
        each(
            lambda tenant: users.provide_kubeconfig(
                self.world.cluster, self.world.settings, tenant, tenants.groups(tenant)
            ),
            self.people,
            width=self.world.at_once,
        )

    def profiles(self) -> None:
        rights = [item for tenant in self.people for item in tenants.own_rights(tenant)]
        self._apply_and_wait([*rights, *(tenants.profile(tenant) for tenant in self.people)])

    def mlflow(self) -> str:
        known = passwords.databases(self.world.cluster, ())
        servers: list[Object] = []

        def provide(tenant: Tenant) -> None:
            objects = tenants.pod_defaults(self.world.settings, tenant)
            objects.append(tenants.aws_secret(tenant.namespace, self._keys(tenant.user)))
            name = tenants.database(tenant)
            objects.append(tenants.database_secret(tenant.namespace, name, known[name]))
            objects += credentials.secrets(self.world.settings, [tenant.namespace])
            servers.extend(apply(self.world.cluster, objects + tenants.mlflow(self.world.settings, tenant)))

        each(provide, self.people, width=self.world.at_once)
        until_ready(self.world.cluster, _waited(servers), cancelled=self.steps.cancelled)
        return plural("{count} server", "{count} servers", count=len(self.people))

    def shared(self) -> None:
        known = passwords.databases(self.world.cluster, ())
        keys = self._keys(resources.SHARED_USER)
        secrets = [tenants.aws_secret(namespace, keys) for namespace in ("mlops-training", "mlops-serving")]
        secrets.append(tenants.database_secret("mlops-training", "mlflow_shared", known["mlflow_shared"]))
        apply(
            self.world.cluster,
            secrets + manifests.with_ports(manifests.read(K8S / "05-serving.yaml"), self.world.settings),
        )
        self._apply_and_wait(manifests.with_ports(manifests.read(K8S / "03-mlflow.yaml"), self.world.settings))

    def settled(self) -> None:
        """One more look at all workloads: after a restart some may have counted as ready that had yet to be found gone."""
        kinds = ("Deployment", "StatefulSet")
        found = [
            item for kind in kinds for item in self.world.cluster.list("apps/v1", kind) if not fresh.may_wait(item)
        ]
        until_ready(self.world.cluster, found, cancelled=self.steps.cancelled)

    def _keys(self, user: str) -> Keys:
        keys = users.read_keys(self.world.settings, user)
        if keys is None:
            raise LabError(
                t(
                    "the AWS keys of {user} are gone from {folder}",
                    user=user,
                    folder=self.world.settings.state / "users" / user,
                ),
                "./inv up",
            )
        return keys

    def _apply_and_wait(self, objects: Sequence[Object]) -> None:
        until_ready(self.world.cluster, _waited(apply(self.world.cluster, objects)), cancelled=self.steps.cancelled)


def _waited(objects: Sequence[Object]) -> list[Object]:
    """What `until_ready` looks at: the kinds that become ready by somebody's work."""
    return [
        item
        for item in objects
        if item["kind"] in ("CustomResourceDefinition", "Deployment", "StatefulSet", "Job", "Profile")
    ]
