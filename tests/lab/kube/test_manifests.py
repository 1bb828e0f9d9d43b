"""Manifests and tenants as values; readiness in words; the policy of a tenant."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from lab.aws import resources
from lab.aws.base import Keys
from lab.errors import LabError
from lab.kube import Kind, Object, manifests, ready
from lab.settings import load
from lab.tenancy import tenants

SETTINGS = load()
USER07 = SETTINGS.one("07")


def test_every_manifest_of_the_lab_can_be_read() -> None:
    names = [path.name for path in sorted(manifests.K8S.glob("0*.yaml"))]
    assert names == [
        "01-namespaces.yaml",
        "02-storage.yaml",
        "03-mlflow.yaml",
        "04-training-job.yaml",
        "05-serving.yaml",
    ]
    for name in names:
        for item in manifests.read(manifests.K8S / name):
            assert item["apiVersion"]
            assert item["metadata"]["name"]
    assert any(item["kind"] == "Profile" for item in [tenants.profile(USER07)])


def test_definitions_and_namespaces_come_first() -> None:
    kinds = [item["kind"] for item in manifests.ordered(manifests.read(manifests.K8S / "kubeflow"))]
    assert kinds[0] == "CustomResourceDefinition"
    assert kinds.index("Namespace") < kinds.index("Deployment")
    assert kinds.index("ServiceAccount") < kinds.index("Deployment")


def test_node_ports_are_those_of_the_settings() -> None:
    moved = SETTINGS.model_copy(update={"ports": SETTINGS.ports.model_copy(update={"serving": 31999})})
    services = [
        item
        for item in manifests.with_ports(manifests.read(manifests.K8S / "05-serving.yaml"), moved)
        if item["kind"] == "Service"
    ]
    assert [port["nodePort"] for port in services[0]["spec"]["ports"]] == [31999]


def test_a_later_edition_of_the_course_is_one_line_in_the_settings() -> None:
    later = SETTINGS.model_copy(update={"names": SETTINGS.names.model_copy(update={"profile": "kubeflow-user{num}"})})
    objects = manifests.with_names(manifests.read(manifests.K8S / "kubeflow"), later)
    config = next(
        item for item in objects if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "kubeflow-lite"
    )
    assert config["data"]["PROFILE_TEMPLATE"] == "kubeflow-user{num}"
    assert config["data"]["NAMESPACE_TEMPLATE"] == "kubeflow-user{num}"
    assert config["data"]["TRAINING_NAMESPACE"] == "mlops-training"


def test_a_template_without_a_value_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("kind: ${NOTHING}\n")
    with pytest.raises(LabError, match="NOTHING"):
        manifests.read(tmp_path / "t.yaml", {})


def test_a_tenants_objects_bear_the_courses_names() -> None:
    profile = tenants.profile(USER07)
    assert profile["metadata"]["name"] == "profile-user07"
    assert profile["spec"]["owner"]["name"] == "user07@mlops.local"
    assert profile["spec"]["resourceQuotaSpec"]["hard"] == {"cpu": "8", "memory": "16Gi"}
    defaults = {item["metadata"]["name"]: item for item in tenants.pod_defaults(SETTINGS, USER07)}
    assert set(defaults) == {"access-mlflow", "access-ml-pipeline"}
    env = {item["name"]: item.get("value") for item in defaults["access-mlflow"]["spec"]["env"]}
    assert env["MLFLOW_TRACKING_URI"] == "http://mlflow-server.kubeflow-user07.svc.cluster.local:5000"
    assert env["AWS_DEFAULT_REGION"] == "ap-northeast-2"
    kinds = {
        (item["kind"], item["metadata"]["name"], item["metadata"]["namespace"])
        for item in tenants.mlflow(SETTINGS, USER07)
    }
    assert kinds == {
        ("Deployment", "mlflow-server", "kubeflow-user07"),
        ("Service", "mlflow-server", "kubeflow-user07"),
        ("NetworkPolicy", "tenant-isolation", "kubeflow-user07"),
    }


def test_only_the_instructor_is_in_the_instructors_group() -> None:
    assert tenants.groups(USER07) == ("mlops:tenants",)
    assert tenants.groups(SETTINGS.one("20")) == ("mlops:tenants", "mlops:instructors")


def test_a_password_with_any_character_makes_a_good_uri() -> None:
    secret = tenants.database_secret("ns", "mlflow_user07", "a/b@c:d%")
    uri = b64decode(secret["data"]["uri"]).decode()
    assert (
        uri
        == "postgresql+pg8000://mlflow_user07:a%2Fb%40c%3Ad%25@postgres.mlflow-system.svc.cluster.local:5432/mlflow_user07"
    )


def test_the_policy_names_nothing_of_another_tenant() -> None:
    document = resources.policy(SETTINGS, buckets=[USER07.bucket], repositories=USER07.repositories)
    open_actions = {"ecr:GetAuthorizationToken", "sts:GetCallerIdentity"}
    for statement in document["Statement"]:
        if statement["Resource"] == ["*"]:
            assert set(statement["Action"]) <= open_actions
        elif statement["Sid"] != "Cluster":
            assert all("user07" in resource for resource in statement["Resource"])
    assert not re.search(r"user(?!07)[0-9]{2}", json.dumps(document))


def test_keys_do_not_show() -> None:
    assert "hush" not in repr(Keys("AKIA", "hush"))


def deployment(**status: object) -> Object:
    return {
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n", "generation": 2},
        "spec": {"replicas": 2},
        "status": status,
    }


@pytest.mark.parametrize(
    ("item", "missing"),
    [
        (deployment(observedGeneration=2, replicas=2, readyReplicas=2, updatedReplicas=2), None),
        (
            deployment(observedGeneration=2, replicas=2, readyReplicas=1, updatedReplicas=2),
            "Deployment d in n: 1 of 2 replicas ready",
        ),
        (
            deployment(observedGeneration=2, replicas=3, readyReplicas=3, updatedReplicas=2),
            "Deployment d in n: waits for 1 old replicas to end",
        ),
        (deployment(observedGeneration=1, readyReplicas=2), "Deployment d in n: not seen by its controller yet"),
        (deployment(), "Deployment d in n: not seen by its controller yet"),
        ({"kind": "ConfigMap", "metadata": {"name": "c"}}, None),
        ({"kind": "Profile", "metadata": {"name": "p"}}, "Profile p: not seen by the operator yet"),
    ],
)
def test_readiness_in_words(item: Object, missing: str | None) -> None:
    assert ready.missing(item) == missing


def test_why_a_pod_does_not_run() -> None:
    waiting = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [waiting]}}
    starting = {
        "metadata": {"name": "q"},
        "status": {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]},
    }
    event = {"type": "Warning", "reason": "Failed", "message": "m", "involvedObject": {"name": "p"}, "metadata": {}}
    assert ready.explain([pod, starting], [event, event | {"type": "Normal"}]) == [
        "p/c: ImagePullBackOff: no such image",
        "p: Failed: m",
    ]


def test_paths_are_quoted() -> None:
    pods = Kind("v1", "pods", namespaced=True)
    assert pods.path("ns", "a/../b") == "/api/v1/namespaces/ns/pods/a%2F..%2Fb"
    assert pods.path() == "/api/v1/pods"
    assert (
        Kind("apps/v1", "deployments", namespaced=True).path("ns", "d", "scale")
        == "/apis/apps/v1/namespaces/ns/deployments/d/scale"
    )
    assert Kind("v1", "namespaces", namespaced=False).path("ignored", "x") == "/api/v1/namespaces/x"
