"""--dry-run of every task that has it, on a running lab: it says what it would do, and nothing is other than before."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

import tasks
from lab import reference
from lab.kube import Cluster, Kind, Object
from tests.e2e.conftest import Lab, fresh_lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(900)]

TYPED = {
    "up": ("up --tenants 07", "s3 CreateBucket Bucket=mlops-training-user07"),
    "down": ("down --purge", "stop cluster sim with all its pods"),
    "bundle": ("bundle", "lab.tar.zst"),
    "tools": ("tools kubectl", "kubectl into"),
    "build": ("build --only serving", "docker build -t ops-demo:serving"),
    "push": ("push ops-demo:serving --tenant 01", "PUT /v2/mlops-training/user01/iris-api/manifests/latest"),
    "ui": ("ui --no-browser", "POST /api/v1/namespaces/kubeflow/serviceaccounts/instructor/token"),
    "train": ("train --tenant 01", "POST /apis/batch/v1/namespaces/kubeflow-user01/jobs (Job iris-training-)"),
    "sweep": ("sweep --grid n_estimators=5,6", "POST /apis/batch/v1/namespaces/mlops-training/jobs (Job sweep-"),
    "promote": ("promote 1", "POST /apis/batch/v1/namespaces/mlops-training/jobs (Job iris-promotion-)"),
    "rollback-model": ("rollback-model", "POST /apis/batch/v1/namespaces/mlops-training/jobs (Job iris-promotion-)"),
    "reproduce": ("reproduce first", "POST /apis/batch/v1/namespaces/mlops-training/jobs (Job iris-training-)"),
    "load": ("load --seconds 5", "/predict"),
    "rollout": ("rollout", "PATCH /apis/apps/v1/namespaces/mlops-serving/deployments/iris-serving"),
    "rollback": ("rollback", "PATCH /apis/apps/v1/namespaces/mlops-serving/deployments/iris-serving"),
    "break": (
        "break mlflow-down --user 01",
        "PATCH /apis/apps/v1/namespaces/kubeflow-user01/deployments/mlflow-server",
    ),
    "mend": ("mend mlflow-down --user 01", "PATCH /apis/apps/v1/namespaces/kubeflow-user01/deployments/mlflow-server"),
    "rehearse": ("rehearse --user 01", "ecr DeleteRepository repositoryName=mlops-training/user01/iris-api"),
    "tenants.add": ("tenants add 33", "tenants.yaml"),
    "tenants.remove": ("tenants remove 01 --bucket", "DELETE /apis/kubeflow.org/v1/profiles/profile-user01"),
}
"""What is typed for each task, and a line that must come."""
BEATING = {"Event", "Lease", "Node"}
"""Kinds that change while nobody does anything."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with fresh_lab(tmp_path_factory.mktemp("dryrun"), offset=40) as made:
        made.inv("up", "--tenants", "01,20")
        made.inv("train", "--n-estimators", "5", "--run-name", "first")
        made.inv("rollout")
        settle(made)
        yield made


def settle(lab: Lab, *, patience: float = 240) -> None:
    """Until nothing changes by itself any more: the autoscaler takes its time after a rollout."""
    deadline, before = time.monotonic() + patience, objects(lab)
    while True:
        time.sleep(5)
        now = objects(lab)
        if now == before:
            return
        assert time.monotonic() < deadline, differences(before, now)
        before = now


def test_every_task_that_has_it_is_tried() -> None:
    having = {n for n in tasks.ns.task_names if any(a.name == "dry_run" for a in reference.arguments_of(tasks.ns[n]))}
    assert having == set(TYPED)


@pytest.mark.parametrize("name", sorted(TYPED))
def test_it_says_what_it_would_do_and_does_nothing(up: Lab, name: str) -> None:
    typed, line = TYPED[name]
    before = {**objects(up), **files(up.state), **buckets(up)}
    done = up.inv(*typed.split(), "--dry-run")
    assert done.stderr == ""
    assert line in " ".join(done.stdout.split()), done.stdout
    assert differences(before, {**objects(up), **files(up.state), **buckets(up)}) == []


def test_up_where_all_is_up_would_do_nothing(up: Lab) -> None:
    up.inv("up", "--tenants", "01,20")
    said = up.inv("up", "--tenants", "01,20", "--dry-run").stdout
    assert said.splitlines()[-1] == "0 changes; nothing was done"


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def objects(lab: Lab) -> dict[str, str]:
    """Every object of every kind, by its resourceVersion; an autoscaler, which writes down what it measures, by its spec."""
    cluster = Cluster(lab.state / "kubeconfig")
    found = {}
    for group_version in versions(cluster):
        root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        for kind in cluster.request("GET", root)["resources"]:
            if "list" in kind["verbs"] and kind["kind"] not in BEATING and "metrics" not in group_version:
                path = Kind(group_version, kind["name"], kind["namespaced"]).path()
                for item in cluster.request("GET", path)["items"]:
                    found[f"{path} {item['metadata'].get('namespace')} {item['metadata']['name']}"] = stamp(kind, item)
    assert len(found) > 200
    return found


def versions(cluster: Cluster) -> list[str]:
    groups = cluster.request("GET", "/apis")["groups"]
    return ["v1", *(version["groupVersion"] for group in groups for version in group["versions"])]


def stamp(kind: Object, item: Object) -> str:
    if kind["kind"] == "HorizontalPodAutoscaler":
        return str(item["spec"])
    return str(item["metadata"]["resourceVersion"])


def files(state: Path) -> dict[str, str]:
    """The lab's own; what cluster and AWS keep is asked of themselves."""
    kept = [path for path in state.rglob("*") if path.relative_to(state).parts[0] not in ("cluster", "aws", "logs")]
    return {str(path): f"{path.stat().st_mtime_ns} {path.stat().st_mode}" for path in kept if path.is_file()}


def buckets(lab: Lab) -> dict[str, str]:
    """Buckets and objects, repositories, users with their policies and keys."""
    made = {}
    s3, ecr, iam = (client(lab, name) for name in ("s3", "ecr", "iam"))
    for bucket in s3.list_buckets()["Buckets"]:
        made[f"s3 {bucket['Name']}"] = ""
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"]):
            made |= {
                f"s3 {bucket['Name']} {one['Key']} {one['VersionId']}": one["ETag"] for one in page.get("Versions", [])
            }
    for repository in ecr.describe_repositories()["repositories"]:
        images = ecr.list_images(repositoryName=repository["repositoryName"])["imageIds"]
        made[f"ecr {repository['repositoryName']}"] = str(images)
    for user in iam.list_users()["Users"]:
        keys = iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]
        made[f"iam {user['UserName']}"] = str([key["AccessKeyId"] for key in keys])
    return made


def client(lab: Lab, service: str) -> Any:
    """As the administrator of the stand-in."""
    root = json.loads((lab.state / "aws" / "root.json").read_text())
    return boto3.client(
        service,  # type: ignore[call-overload]
        aws_access_key_id=root["access_key_id"],
        aws_secret_access_key=root["secret_access_key"],
        region_name=root["region"],
        endpoint_url=f"http://127.0.0.1:{lab.environ['LAB_PORTS_AWS']}",
    )
