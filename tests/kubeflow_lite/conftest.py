"""One real kubesim for all tests here that need a cluster, with Kubeflow-lite's definitions and roles applied, and programs run against it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from kubeflow_lite.apply import RESOURCES
from kubeflow_lite.kube.client import Client, path
from kubeflow_lite.kube.config import Access, from_kubeconfig
from kubeflow_lite.kube.watch import follow
from kubeflow_lite.objects import Object, name

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "k8s" / "kubeflow"
_SECONDS = 90.0
PLURALS = {
    **RESOURCES,
    "CustomResourceDefinition": "apiextensions.k8s.io/v1/customresourcedefinitions",
    "ConfigMap": "v1/configmaps",
    "Role": "rbac.authorization.k8s.io/v1/roles",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "Deployment": "apps/v1/deployments",
}
COURSE_NAMES = {"PROFILE_TEMPLATE": "profile-user{num}", "NAMESPACE_TEMPLATE": "kubeflow-user{num}"}


@dataclass(frozen=True)
class Cluster:
    """A running kubesim."""

    kubeconfig: Path

    @property
    def access(self) -> Access:
        return from_kubeconfig(self.kubeconfig)

    @contextmanager
    def program(
        self, role: str, log: Path, kubeconfig: Path | None = None, **environment: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """`python -m kubeflow_lite ROLE` against this cluster; killed at the end if it still runs."""
        command = [sys.executable, "-m", "kubeflow_lite", role, "--address", "127.0.0.1", "--port", "0"]
        variables = {**os.environ, **environment, "KUBECONFIG": str(kubeconfig or self.kubeconfig), "HEALTH_PORT": "0"}
        with log.open("ab") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def read_manifests(*names: str) -> list[Object]:
    return [item for name in names for item in yaml.safe_load_all((MANIFESTS / name).read_text())]


async def until(
    client: Client, resource: str, name: str, namespace: str = "", *, holds: Callable[[Object | None], bool]
) -> Object | None:
    """Wait for the watch to show the object so; gives it. No polling."""
    last: Object | None = None
    try:
        async with asyncio.timeout(_SECONDS):
            async for last in follow(client, resource, name, namespace):
                if holds(last):
                    return last
    except TimeoutError:
        raise AssertionError(f"after {_SECONDS} s {resource} {namespace}/{name} is {last}") from None
    raise AssertionError("follow never ends")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    state = tmp_path_factory.mktemp("kubesim")
    command = [sys.executable, "-m", "kubesim", "serve", "--state", str(state), "--port", "0"]
    # Its one line of output is waited for; its log goes to a file, since nobody here would read a pipe empty.
    with (
        (state / "log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert b"ready" in first, (state / "log").read_text()
            running = Cluster(state / "admin.kubeconfig")
            asyncio.run(_install(running))
            yield running
        finally:
            # SIGINT ends its helpers too; a kill would leave them behind.
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with Client(cluster.access) as admin:
        yield admin


async def account_kubeconfig(cluster: Cluster, account: str, target: Path) -> Path:
    """A kubeconfig that signs in as a service account of namespace kubeflow: a program gets no more than its manifest grants."""
    async with Client(cluster.access) as admin:
        address = path("v1/serviceaccounts", "kubeflow", account, "token")
        token = (await admin._call("POST", address, json_body={"spec": {"expirationSeconds": 3600}}))["status"]["token"]
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    target.write_text(yaml.safe_dump(config))
    return target


async def _install(running: Cluster) -> None:
    """Everything of k8s/kubeflow but the Deployments: the programs are run by the tests. Definitions are waited for."""
    async with Client(running.access) as admin:
        for definition in read_manifests("crds.yaml"):
            await admin.apply(PLURALS[definition["kind"]], definition)
            await until(admin, PLURALS[definition["kind"]], name(definition), holds=_established)
        files = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
        for item in read_manifests(*(file for file in files if file != "crds.yaml")):
            # The webhook's Service has no pod here; a test that wants it registers one of its own.
            if item["kind"] not in ("Deployment", "MutatingWebhookConfiguration"):
                await admin.apply(PLURALS[item["kind"]], item)


def _established(definition: Object | None) -> bool:
    conditions = ((definition or {}).get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
