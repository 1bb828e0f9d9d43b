"""`verify` changes nothing, so that it may be run on a real course: every request that the 23 checks send is recorded and judged.

The checks' own clients are replaced by ones that write down what they send; nothing is intercepted that a check could go around.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lab import checks, clusters, settings, verify
from lab.aws.base import Keys, Provider
from lab.aws.clients import Clients
from lab.aws.real import Real
from lab.aws.standin import StandIn
from lab.checks.runner import run
from lab.clusters.current import Current
from lab.errors import LabError
from lab.kube import Cluster, Refused
from lab.tenancy import users
from lab.world import World
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(300)]

AWS_READS = ("Head", "Get", "List", "Describe")


class RecordingCluster(Cluster):
    """Writes down method, path, query and body of everything sent."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self.sent: list[tuple[str, str, dict[str, str], Any]] = []

    def _send(self, method: str, path: str, body: object, **options: Any) -> Any:
        self.sent.append((method, path, dict(options.get("query") or {}), body))
        return super()._send(method, path, body, **options)


class RecordingClients(Clients):
    """Writes down every operation, when the signed request leaves; retries too."""

    def __init__(self, provider: Provider, keys: Keys, region: str) -> None:
        super().__init__(provider, keys, region)
        self.sent: list[tuple[str, str, Mapping[str, str]]] = []
        self._lock = threading.Lock()

    def _make(self, service: str) -> Any:
        client = super()._make(service)
        client.meta.events.register("before-send", self._note)
        return client

    def _note(self, request: Any, event_name: str, **_: Any) -> None:
        with self._lock:
            self.sent.append((event_name.rpartition(".")[2], unquote(request.url), dict(request.headers)))


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    lab.inv("up", "--tenants", "01,02,20")
    loaded = settings.load(environ=lab.environ)
    provider, why = clusters.detect(loaded)
    return World(loaded, provider, why, StandIn(loaded), "as the lab")


@pytest.fixture
def visit(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same cluster and account as a student of a real course has them: a kubeconfig and keys in the shell, and no lab here."""
    tenant = world.settings.one("01")
    keys = world.aws_as(tenant).keys
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    loaded = settings.load(
        environ={"LAB_STATE": str(tmp_path / "nothing"), "LAB_CLUSTER": "current", "LAB_AWS": "real"}
    )
    there = Current(loaded, source=(users.kubeconfig_path(world.settings, tenant),))
    return World(loaded, there, "asked for", RealElsewhere(loaded, at=world.aws.endpoint()), "asked for")


@dataclass(frozen=True)
class RealElsewhere(Real):
    """AWS itself, but for where it is."""

    at: str = ""

    def endpoint(self, service: str = "s3") -> str:
        return self.at


def test_a_visitor_of_a_real_course_sees_the_same_and_changes_nothing(world: World, visit: World) -> None:
    before = versions(world)
    results = verify.verify(visit, user="01")
    assert [result.state for result in results] == ["pass"] * 23, [r for r in results if r.state != "pass"]
    assert versions(world) == before
    with pytest.raises(LabError, match="whose tenant are you there"):
        verify.verify(visit)


def is_a_read(method: str, path: str, query: Mapping[str, str], body: Any, other: str) -> bool:
    """Reads; a review of the own rights, which is stored nowhere; and, in the other tenant's namespace, what is dry or needs a connection upgrade."""
    if method == "GET":
        return True
    if method == "POST" and path.startswith("/apis/authorization.k8s.io/v1/selfsubject"):
        return True
    elsewhere = f"/namespaces/{other}/" in path
    return elsewhere and (query.get("dryRun") == "All" or path.endswith("/exec"))


def test_the_checks_send_reads_only(world: World) -> None:
    tenant = world.settings.one("01")
    plain = verify.subject(world, tenant)
    cluster = RecordingCluster(plain.cluster.kubeconfig)
    clients = RecordingClients(world.aws, plain.aws.keys, world.settings.region)
    results = run([replace(plain, cluster=cluster, aws=clients)], checks.REGISTRY)
    assert [result.state for result in results] == ["pass"] * 23, [r for r in results if r.state != "pass"]

    assert len(cluster.sent) > 20
    assert [sent for sent in cluster.sent if not is_a_read(*sent, plain.other.namespace)] == []
    writes = [sent for sent in clients.sent if not sent[0].startswith(AWS_READS)]
    assert len(clients.sent) > 12
    assert [operation for operation, _, _ in writes] == ["PutObject"]
    assert f"/{plain.other.bucket}/probe" in writes[0][1]


def test_the_only_write_that_is_tried_cannot_be_stored(world: World) -> None:
    """The probe of another's bucket, sent by somebody who may write there: refused, and nothing is there afterwards."""
    from botocore.exceptions import ClientError

    from lab.checks.mlflow import UNWRITABLE

    tenant = world.settings.one("01")
    s3 = world.aws_as(tenant)("s3")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=tenant.bucket, **UNWRITABLE)
    listed = s3.list_object_versions(Bucket=tenant.bucket, Prefix=str(UNWRITABLE["Key"]))
    assert listed.get("Versions", []) == []


def test_an_exec_that_is_allowed_runs_nothing_without_an_upgrade(world: World) -> None:
    """The isolation check asks for exec by plain POST: where the door is open the server wants a WebSocket and starts no process."""
    tenant = world.settings.one("01")
    cluster = world.cluster_as(tenant)
    pod = cluster.list("v1", "Pod", tenant.namespace, labels="app=mlflow-server")[0]["metadata"]["name"]
    path = cluster.kind("v1", "Pod").path(tenant.namespace, pod, "exec")
    with pytest.raises(Refused) as refusal:
        cluster.request("POST", path, query={"command": "true", "stdout": "true"})
    assert refusal.value.code == 400


def test_nothing_is_changed(world: World) -> None:
    """The administrator's view of every object of the tenant and its neighbour is the same before and after, by resourceVersion."""
    tenant = world.settings.one("01")
    before = versions(world)
    verify.verify(world, user=tenant.num)
    assert versions(world) == before


def versions(world: World) -> str:
    """Of every kind that says something about tenants; pods' and Deployments' status is the node's and changes by itself.

    An agent that another module left (`./inv ui`) goes on publishing its reports.
    """
    kinds = (
        *(("v1", kind) for kind in ("Secret", "ConfigMap", "ServiceAccount", "Service", "ResourceQuota", "Namespace")),
        *(("rbac.authorization.k8s.io/v1", kind) for kind in ("Role", "RoleBinding", "ClusterRoleBinding")),
        *(("kubeflow.org/v1", "Profile"), ("kubeflow.org/v1alpha1", "PodDefault")),
    )
    found = [
        (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"], item["metadata"]["resourceVersion"])
        for api_version, kind in kinds
        for item in world.cluster.list(api_version, kind)
        if not item["metadata"]["name"].startswith("check-report-")
    ]
    return json.dumps(sorted(found), indent=1)
