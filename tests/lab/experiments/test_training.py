"""`invoke train`: the Job that is made, and what its end is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.experiments import training
from lab.kube import Cluster, Kind, Object, Refused
from lab.settings import Tenant
from training import results

TENANT = Tenant(
    num="01",
    role="student",
    cpu="8",
    memory="16Gi",
    profile="profile-user01",
    namespace="kubeflow-user01",
    bucket="mlops-training-user01",
    email="user01@mlops.local",
)
RESULT = {"accuracy": 0.9, "run_id": "abc", "version": "3"}


class Recorded(Cluster):
    """A cluster whose answers are written down: pods with their logs, the Job's state, events."""

    def __init__(
        self, *, pods: list[Object], logs: Mapping[str, list[str]], job: Object | None, events: list[Object]
    ) -> None:
        super().__init__(Path("/nonexistent"))
        self.pods, self.logs, self.job, self.events = pods, logs, job, events

    def kind(self, api_version: str, kind: str) -> Kind:
        return Kind(api_version, kind.lower() + "s", True)

    def list(self, api_version: str, kind: str, namespace: str = "", *, labels: str = "") -> list[Object]:
        return self.pods if kind == "Pod" else self.events

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        return self.job

    def lines(self, path: str, query: Mapping[str, str], *, silence: float | None = None) -> Iterator[str]:
        assert query == {"follow": "true", "container": "training"}
        return iter(self.logs[path.split("/")[-2]])


def pod(name: str, phase: str, waiting: str = "") -> Object:
    state = {"waiting": {"reason": waiting, "message": "no such image"}} if waiting else {}
    status = {"phase": phase, "containerStatuses": [{"name": "training", "state": state}]}
    meta = {"name": name, "namespace": "mlops-training", "creationTimestamp": f"2026-01-01T00:00:0{name[-1]}Z"}
    return {"metadata": meta, "status": status}


def failed(message: str) -> Object:
    return {"status": {"conditions": [{"type": "Failed", "status": "True", "message": message}]}}


def follow(cluster: Recorded) -> tuple[Mapping[str, Any], list[str]]:
    said: list[str] = []
    return training.wait(cluster, "iris-training-x", "mlops-training", say=said.append), said


def test_the_result_is_the_logs_last_line() -> None:
    lines = ["2026 INFO run started", results.RESULT + json.dumps(RESULT)]
    cluster = Recorded(pods=[pod("p1", "Running")], logs={"p1": lines}, job={"status": {}}, events=[])
    assert follow(cluster) == (RESULT, ["  2026 INFO run started"])


def test_a_second_attempt_is_followed_too() -> None:
    logs = {"p1": ["training failed: S3 does not answer"], "p2": [results.RESULT + json.dumps(RESULT)]}
    cluster = Recorded(pods=[pod("p2", "Running"), pod("p1", "Failed")], logs=logs, job={"status": {}}, events=[])
    assert follow(cluster) == (RESULT, ["  training failed: S3 does not answer"])


def test_a_failed_job_ends_with_the_programs_reason() -> None:
    logs = {"p1": ["training failed: class 'x' has 1 rows"]}
    cluster = Recorded(pods=[pod("p1", "Failed")], logs=logs, job=failed("BackoffLimitExceeded"), events=[])
    with pytest.raises(LabError, match="Job iris-training-x in mlops-training failed: class 'x' has 1 rows") as raised:
        follow(cluster)
    assert "kubectl logs job/iris-training-x -n mlops-training" in raised.value.hint


def test_a_job_that_was_killed_ends_with_kubernetess_reason() -> None:
    cluster = Recorded(pods=[pod("p1", "Failed")], logs={"p1": ["..."]}, job=failed("it took too long"), events=[])
    with pytest.raises(LabError, match="failed: it took too long"):
        follow(cluster)


def test_a_deleted_job_is_not_waited_for() -> None:
    with pytest.raises(LabError, match="was deleted"):
        follow(Recorded(pods=[], logs={}, job=None, events=[]))


def test_an_image_that_does_not_exist_is_not_waited_for() -> None:
    cluster = Recorded(pods=[pod("p1", "Pending", "ErrImageNeverPull")], logs={}, job={"status": {}}, events=[])
    with pytest.raises(LabError, match="does not start: p1/training: ErrImageNeverPull: no such image"):
        follow(cluster)


def test_a_pod_the_quota_refuses_is_not_waited_for() -> None:
    event = {
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "exceeded quota: kf-resource-quota",
        "involvedObject": {"name": "iris-training-x"},
        "metadata": {},
    }
    with pytest.raises(LabError, match="exceeded quota: kf-resource-quota"):
        follow(Recorded(pods=[], logs={}, job={"status": {}}, events=[event]))


def test_the_shared_job_is_the_manifests_with_its_own_arguments() -> None:
    options = training.Options(n_estimators=200, max_depth="20", run_name="experiment-001")
    made = training.job(options.arguments(), None)
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert made["metadata"]["generateName"] == "iris-training-"
    assert "name" not in made["metadata"]
    assert made["metadata"]["namespace"] == "mlops-training"
    assert container["args"] == [
        "--n-estimators", "200", "--max-depth", "20", "--run-name", "experiment-001", "--experiment", "iris",
    ]  # fmt: skip
    assert "MLFLOW_TRACKING_URI" in [item["name"] for item in container["env"]]


def test_a_tenants_job_leaves_mlflow_to_the_poddefault() -> None:
    made = training.job(training.Options().arguments(), TENANT)
    template = made["spec"]["template"]
    names = {item["name"] for item in template["spec"]["containers"][0]["env"]}
    assert made["metadata"]["namespace"] == "kubeflow-user01"
    assert template["metadata"]["labels"]["access-mlflow"] == "true"
    assert names.isdisjoint(training.GIVEN_BY_PODDEFAULT)
    assert {"JOB_NAME", "MLFLOW_USER"} <= names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (training.Options(n_estimators=0), "--n-estimators: '0' is not a whole number from 1 to 5000"),
        (training.Options(n_estimators=10**9), "is not a whole number from 1 to 5000"),
        (training.Options(max_depth="deep"), "--max-depth: 'deep' is not a whole number from 1 to 100"),
        (training.Options(max_depth="0"), "--max-depth: '0'"),
        (training.Options(run_name="a/b"), "--run-name: 'a/b' is not a name"),
        (training.Options(experiment=" "), "--experiment: ' ' is not a name"),
        (training.Options(model="a:b"), "--model-name: 'a:b' is not a name"),
        (training.Options(seed=-1), "--seed: '-1' is not a whole number"),
    ],
)
def test_wrong_options_make_no_job(options: training.Options, words: str) -> None:
    with pytest.raises(LabError) as raised:
        options.arguments()
    assert words in raised.value.message


def test_a_refusal_says_what_to_type() -> None:
    class Full(Recorded):
        def create(self, manifest: Object, *, namespace: str = "") -> Object:
            raise Refused("exceeded quota: kf-resource-quota", code=403, reason="Forbidden")

    cluster = Full(pods=[], logs={}, job=None, events=[])
    with pytest.raises(LabError, match="no training Job in kubeflow-user01: exceeded quota") as raised:
        training.create(cluster, training.job(training.Options().arguments(), TENANT))
    assert "kubectl describe resourcequota -n kubeflow-user01" in raised.value.hint
