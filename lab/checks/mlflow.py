"""Part 2 of the course's checks: is the tenant's MLflow whole, and the tenant's alone? (7)"""

from __future__ import annotations

from base64 import b64encode

from lab.checks import kubeflow
from lab.checks.base import Check, Subject, require
from lab.checks.probes import (
    aws_refused,
    bucket_region,
    described,
    get,
    labelled,
    listed,
    mlflow_health,
    refused,
    running,
)
from lab.kube import Object
from lab.messages import t


def bucket(subject: Subject) -> str:
    name = subject.tenant.bucket
    bucket_region(subject, name, f"aws s3 mb s3://{name}; aws sts get-caller-identity")
    return t("s3://{name} exists", name=name)


def repositories(subject: Subject) -> str:
    found = described(subject, subject.tenant.repositories[:2])
    return ", ".join(item["repositoryName"] for item in found)


def access_mlflow(subject: Subject) -> str:
    cure = t("the instructor recreates it: ./inv up --tenants {number}", number=subject.tenant.num)
    found = get(subject, "kubeflow.org/v1alpha1", "PodDefault", "access-mlflow", namespace=subject.namespace, hint=cure)
    env = {item["name"]: item.get("value", "") for item in found["spec"].get("env", [])}
    wanted = f"http://mlflow-server.{subject.namespace}.svc.cluster.local:5000"
    seen = env.get("MLFLOW_TRACKING_URI")
    require(
        seen == wanted,
        t("MLFLOW_TRACKING_URI in access-mlflow: expected {wanted}, found {seen}", wanted=wanted, seen=seen),
        cure,
    )
    missing = {"MLFLOW_S3_ENDPOINT_URL", "AWS_DEFAULT_REGION"} - set(env)
    require(not missing, t("access-mlflow sets no {missing}", missing=", ".join(sorted(missing))), cure)
    return f"MLFLOW_TRACKING_URI={wanted}"


def server(subject: Subject) -> str:
    namespace = subject.namespace
    cure = f"kubectl get pods -n {namespace} -l app=mlflow-server; kubectl logs -n {namespace} deployment/mlflow-server"
    get(subject, "v1", "Service", "mlflow-server", namespace=namespace, hint=cure)
    _one_runs(
        labelled(subject, "v1", "Pod", namespace, app="mlflow-server"),
        t("MLflow server in {namespace}", namespace=namespace),
        cure,
    )
    postgres = "kubectl get pods -n mlflow-system -l app=postgres; kubectl logs -n mlflow-system statefulset/postgres"
    _one_runs(
        labelled(subject, "v1", "Pod", "mlflow-system", app="postgres"), t("PostgreSQL in mlflow-system"), postgres
    )
    return t(
        "mlflow-server:5000 answers in {milliseconds:.0f} ms, PostgreSQL runs",
        milliseconds=mlflow_health(subject) * 1000,
    )


def _one_runs(pods: list[Object], what: str, cure: str) -> None:
    require(bool(pods), t("{what}: no pod", what=what), cure)
    require(bool(running(pods)), t("{what}: {pods} pod(s), none ready", what=what, pods=len(pods)), cure)


UNWRITABLE = {"Key": "probe", "Body": b"", "ContentMD5": b64encode(bytes(16)).decode()}
"""S3 has no dry run: an object whose checksum is wrong is refused with BadDigest where it may be written, and never stored."""


def isolation(subject: Subject) -> str:
    """Both ways: the tenant's own things answer, another's refuse."""
    other = subject.other
    listed(subject, "v1", "Pod", subject.namespace)
    s3 = subject.aws("s3")
    service = subject.cluster.kind("v1", "Service")
    attempts = {
        t("list pods in {namespace}", namespace=other.namespace): refused(
            subject, "GET", subject.cluster.kind("v1", "Pod").path(other.namespace)
        ),
        t("reach MLflow of {user}", user=other.user): refused(
            subject, "GET", service.path(other.namespace, "mlflow-server:5000", "proxy") + "/health"
        ),
        t("read the database secret of {user}", user=other.user): refused(
            subject, "GET", subject.cluster.kind("v1", "Secret").path(other.namespace, "mlflow-database")
        ),
        t("list s3://{bucket}", bucket=other.bucket): aws_refused(s3.list_objects_v2, Bucket=other.bucket, MaxKeys=1),
        t("read from s3://{bucket}", bucket=other.bucket): aws_refused(
            s3.get_object, Bucket=other.bucket, Key="mlflow-artifacts/"
        ),
        t("write to s3://{bucket}", bucket=other.bucket): aws_refused(s3.put_object, Bucket=other.bucket, **UNWRITABLE),
        t("list images of {repositories}", repositories=other.repositories[0]): aws_refused(
            subject.aws("ecr").list_images, repositoryName=other.repositories[0]
        ),
    }
    allowed = [what for what, denied in attempts.items() if not denied]
    cure = (
        t(
            "the instructor mends RBAC or the IAM policy: kubectl get rolebindings -A; aws iam list-user-policies --user-name "
        )
        + subject.tenant.user
    )
    require(not allowed, t("{user} may {allowed}", user=subject.tenant.user, allowed="; ".join(allowed)), cure)
    return t(
        "own namespace answers, {attempts} of {attempts} attempts on {user} refused",
        attempts=len(attempts),
        user=other.user,
    )


CHECKS = (
    Check("ML01", "mlflow", "Namespace", "네임스페이스", kubeflow.namespace),
    Check("ML02", "mlflow", "Profile and owner", "Profile 및 소유자", kubeflow.profile, ("ML01",)),
    Check("ML03", "mlflow", "S3 bucket", "S3 버킷", bucket),
    Check("ML04", "mlflow", "ECR repositories", "ECR 리포지토리", repositories),
    Check("ML05", "mlflow", "PodDefault access-mlflow", "PodDefault access-mlflow", access_mlflow, ("ML01", "ML02")),
    Check("ML06", "mlflow", "MLflow server and PostgreSQL", "MLflow 서버 및 PostgreSQL", server, ("ML01", "ML02")),
    Check("ML07", "mlflow", "Isolation, both ways", "양방향 격리", isolation, ("ML01", "ML02")),
)
