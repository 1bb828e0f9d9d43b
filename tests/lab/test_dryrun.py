"""--dry-run: every task that changes something has it; what it does with a real API server, with AWS's own client, and with files."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tasks
from kubesim.server import Settings as ServerSettings
from kubesim.server import running
from lab import dryrun, reference
from lab.aws.base import Keys
from lab.aws.standin import StandIn
from lab.dryrun import guard
from lab.dryrun.aws import Clients
from lab.dryrun.cluster import Cluster
from lab.dryrun.overlay import Overlay, Place
from lab.dryrun.record import Ended, Record
from lab.dryrun.scratch import Scratch
from lab.errors import LabError
from lab.kube import Cluster as RealCluster
from lab.kube import Object, Refused
from lab.settings import ROOT
from lab.settings import load as settings_of

READ_ONLY = {
    *("status", "logs", "doctor", "env", "runs", "compare", "predict", "verify", "faults", "tenants.list"),
    *("kubectl",),  # has a --dry-run of its own
    *("test", "bench.lab", "bench.serve", "bench.kubesim", "bench.aws", "bench.dashboard"),  # a lab of their own
}
CLAIM: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "namespace": "default", "labels": {"a": "b"}},
    "data": {"key": "value"},
}


@pytest.mark.parametrize("name", sorted(tasks.ns.task_names))
def test_every_task_reads_only_or_has_a_dry_run(name: str) -> None:
    options = {argument.name for argument in reference.arguments_of(tasks.ns[name])}
    assert (name in READ_ONLY) != ("dry_run" in options)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def record(said: list[str]) -> Record:
    return Record(lambda line: said.append(" ".join(line.split())))


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a real API server, on a loop of its own: the lab's client is not asynchronous."""
    folder, ready, stop = tmp_path_factory.mktemp("cluster"), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        settings = ServerSettings(folder, controllers=False, node=False)
        async with running(settings) as cluster:
            (folder / "kubeconfig").write_text(cluster.kubeconfig("admin", ("system:masters",)))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    yield folder / "kubeconfig"
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.fixture
def cluster(kubeconfig: Path, record: Record) -> Cluster:
    return Cluster(kubeconfig, source=kubeconfig, image=lambda tag: tag, record=record, overlay=Overlay())


def everything(kubeconfig: Path) -> set[tuple[str, str]]:
    real = RealCluster(kubeconfig)
    kinds = ("ConfigMap", "Secret", "Namespace", "ServiceAccount")
    return {
        (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for kind in kinds
        for item in real.list("v1", kind)
    }


def test_writes_are_said_not_sent_and_seen_by_later_reads(cluster: Cluster, kubeconfig: Path, said: list[str]) -> None:
    before = everything(kubeconfig)
    cluster.apply(CLAIM)
    cluster.patch("v1", "ConfigMap", "one", {"data": {"key": None, "other": "x"}}, "default")
    assert cluster.get("v1", "ConfigMap", "one", "default")["data"] == {"other": "x"}
    assert [item["metadata"]["name"] for item in cluster.list("v1", "ConfigMap", "default", labels="a=b")] == ["one"]
    assert cluster.list("v1", "ConfigMap", "default", labels="a=c") == []
    made = cluster.create(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "train-"}}, namespace="default"
    )
    assert made["metadata"]["name"] == "train-new"
    assert cluster.delete("v1", "ConfigMap", "one", "default")
    assert cluster.find("v1", "ConfigMap", "one", "default") is None
    assert said == [
        "PATCH /api/v1/namespaces/default/configmaps/one?fieldManager=mlops-lab&force=true",
        "PATCH /api/v1/namespaces/default/configmaps/one",
        "POST /apis/batch/v1/namespaces/default/jobs (Job train-)",
        "DELETE /api/v1/namespaces/default/configmaps/one",
    ]
    assert everything(kubeconfig) == before


def test_what_is_not_there_cannot_be_deleted_and_is_not_said(cluster: Cluster, said: list[str]) -> None:
    assert not cluster.delete("v1", "ConfigMap", "never", "default")
    with pytest.raises(Refused, match="not found"):
        cluster.get("v1", "ConfigMap", "never", "default")
    assert said == []


def test_no_content_is_said(cluster: Cluster, said: list[str]) -> None:
    secret = {**CLAIM, "kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    cluster.apply(secret)
    cluster.create({**secret, "metadata": {"name": "two", "namespace": "default"}})
    assert not [line for line in said if "aHVudGVyMg" in line or "password" in line]


def test_a_wait_is_said_and_a_pause_ends_the_task(cluster: Cluster, said: list[str]) -> None:
    cluster.wait(lambda: "Deployment web: 0 of 1 ready", seconds=9, cancelled=threading.Event())
    cluster.wait(lambda: None, seconds=9, cancelled=threading.Event())
    with pytest.raises(Ended):
        cluster.pause(1, "Job a to end")
    assert said == ["wait Deployment web: 0 of 1 ready", "wait Job a to end"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/v1/namespaces", Place("v1", "namespaces")),
        ("/api/v1/namespaces/a", Place("v1", "namespaces", "", "a")),
        ("/api/v1/namespaces/a/pods", Place("v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/b/log", Place("v1", "pods", "a", "b", "log")),
        ("/apis/apps/v1/deployments", Place("apps/v1", "deployments")),
        ("/apis/kubeflow.org/v1/profiles/p", Place("kubeflow.org/v1", "profiles", "", "p")),
        ("/api/v1/namespaces/a/services/m:5000/proxy/x/y", Place("v1", "services", "a", "m:5000", "proxy/x/y")),
        ("/version", None),
        ("/apis/apps/v1", None),
    ],
)
def test_places(path: str, place: Place | None) -> None:
    assert Place.read(path) == place


def test_aws_that_is_not_there_yet_is_empty_and_answers_what_was_asked(
    tmp_path: Path, record: Record, said: list[str]
) -> None:
    settings = settings_of(environ={"LAB_STATE": str(tmp_path)})
    record.new_aws = True
    clients = Clients(StandIn(settings), Keys("new", "new"), "eu-west-1", record=record)
    assert clients("s3").list_buckets()["Buckets"] == []
    pages = clients("ecr").get_paginator("describe_repositories").paginate()
    assert [page["repositories"] for page in pages] == [[]]
    with pytest.raises(clients("iam").exceptions.ClientError, match="404"):
        clients("iam").get_user(UserName="user01")
    clients("iam").create_user(UserName="user01")
    assert clients("iam").create_access_key(UserName="user01")["AccessKey"]["UserName"] == "user01"
    clients("iam").put_user_policy(UserName="user01", PolicyName="p", PolicyDocument="{secret}")
    clients("s3").put_object(Bucket="b", Key="k", Body=b"secret")
    assert said == [
        "iam CreateUser UserName=user01",
        "iam CreateAccessKey UserName=user01",
        "iam PutUserPolicy UserName=user01 PolicyName=p",
        "s3 PutObject Bucket=b Key=k",
    ]


def test_files_are_told_by_what_differs(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "users" / "user01").mkdir(parents=True)
    (state / "users" / "user01" / "aws.ini").write_text("keys")
    (state / "cluster").mkdir()
    (state / "cluster" / "store.db").write_text("large")
    (state / "up.json").write_text("1")
    scratch = Scratch(state, tmp_path / "copy")
    assert list(scratch.changes()) == []
    assert not (scratch.folder / "cluster" / "store.db").exists()
    (scratch.folder / "up.json").write_text("2")
    (scratch.folder / "users" / "user01" / "aws.ini").unlink()
    (scratch.folder / "users" / "user01").rmdir()
    assert list(scratch.changes()) == [("write", f"{state}/up.json"), ("remove", f"{state}/users/user01")]


@pytest.mark.parametrize("what", ["write", "mkdir", "remove", "start", "kill"])
def test_the_guard_stops_what_nothing_else_knew_of(what: str, tmp_path: Path, record: Record, said: list[str]) -> None:
    (tmp_path / "there").write_text("as it was")
    deeds: dict[str, Any] = {
        "write": lambda: (tmp_path / "there").write_text("changed"),
        "mkdir": lambda: (tmp_path / "new").mkdir(),
        "remove": lambda: (tmp_path / "there").unlink(),
        "start": lambda: subprocess.run([sys.executable, "-c", "pass"], check=False),
        "kill": lambda: os.kill(os.getpid(), 15),
    }
    guard.protect(tmp_path, record)
    try:
        with pytest.raises(Ended):
            deeds[what]()
    finally:
        guard.release()
    assert len(said) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "as it was"
    (tmp_path / "after").write_text("allowed again")


def test_what_a_task_says_of_itself_is_not_shown_and_its_refusal_is(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        print("✓ done")
        raise LabError("no fault 'x'", "one of: a")

    with pytest.raises(LabError, match="no fault"):
        dryrun.run(body)
    assert "✓ done" not in capsys.readouterr().out


def test_up_from_nothing_leaves_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "LAB_STATE": str(tmp_path / "lab"), "LAB_CLUSTER": "sim", "LAB_AWS": "standin"}
    environ |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    for folder in ("home", "tmp"):
        (tmp_path / folder).mkdir()
    done = subprocess.run(
        [str(ROOT / "inv"), "up", "--tenants", "01", "--dry-run"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "lab").exists()
    assert list((tmp_path / "tmp").iterdir()) == []
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        "start cluster sim: the Kubernetes API on port 16443",
        "s3 CreateBucket Bucket=mlops-training-user01",
        "PATCH /apis/kubeflow.org/v1/profiles/profile-user01?fieldManager=mlops-lab&force=true",
        "PATCH /apis/apps/v1/namespaces/kubeflow-user01/deployments/mlflow-server?fieldManager=mlops-lab&force=true",
        f"write {tmp_path}/lab/users/user01/kubeconfig",
    ):
        assert line in said
    assert said.index(said[1]) < said.index("s3 CreateBucket Bucket=mlops-training-user01")
    assert said[-1].endswith("changes; nothing was done")


def test_a_task_without_a_lab_is_refused_as_ever(tmp_path: Path) -> None:
    environ = {**os.environ, "LAB_STATE": str(tmp_path / "lab"), "LAB_CLUSTER": "sim", "LAB_AWS": "standin"}
    done = subprocess.run(
        [str(ROOT / "inv"), "break", "mlflow-down", "--user", "01", "--dry-run"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("✗ ")
    assert "→ ./inv up" in done.stderr
    assert not (tmp_path / "lab").exists()
