"""Part 2 of the course's checks: is the tenant's MLflow whole, and the tenant's alone? (7)"""

from __future__ import annotations

from base64 import b64encode

from lab.checks import kubeflow
from lab.checks.base import Check, Subject, require
from lab.checks.probes import aws, aws_refused, described, get, listed, mlflow_health, refused, running
from lab.kube import Object


def bucket(subject: Subject) -> str:
    name = subject.tenant.bucket
    aws(subject.aws("s3").head_bucket, f"aws s3 mb s3://{name}; aws sts get-caller-identity", Bucket=name)
    return f"s3://{name} exists"


def repositories(subject: Subject) -> str:
    found = described(subject, subject.tenant.repositories[:2])
    return ", ".join(item["repositoryName"] for item in found)


def access_mlflow(subject: Subject) -> str:
    cure = f"the instructor recreates it: ./inv up --tenants {subject.tenant.num}"
    found = get(subject, "kubeflow.org/v1alpha1", "PodDefault", "access-mlflow", namespace=subject.namespace, hint=cure)
    env = {item["name"]: item.get("value", "") for item in found["spec"].get("env", [])}
    wanted = f"http://mlflow-server.{subject.namespace}.svc.cluster.local:5000"
    seen = env.get("MLFLOW_TRACKING_URI")
    require(seen == wanted, f"MLFLOW_TRACKING_URI in access-mlflow: expected {wanted}, found {seen}", cure)
    missing = {"MLFLOW_S3_ENDPOINT_URL", "AWS_DEFAULT_REGION"} - set(env)
    require(not missing, f"access-mlflow sets no {', '.join(sorted(missing))}", cure)
    return f"MLFLOW_TRACKING_URI={wanted}"


def server(subject: Subject) -> str:
    namespace = subject.namespace
    cure = f"kubectl get pods -n {namespace} -l app=mlflow-server; kubectl logs -n {namespace} deployment/mlflow-server"
    get(subject, "v1", "Service", "mlflow-server", namespace=namespace, hint=cure)
    _one_runs(
        listed(subject, "v1", "Pod", namespace, labels="app=mlflow-server"), f"MLflow server in {namespace}", cure
    )
    postgres = "kubectl get pods -n mlflow-system -l app=postgres; kubectl logs -n mlflow-system statefulset/postgres"
    _one_runs(
        listed(subject, "v1", "Pod", "mlflow-system", labels="app=postgres"), "PostgreSQL in mlflow-system", postgres
    )
    return f"mlflow-server:5000 answers in {mlflow_health(subject) * 1000:.0f} ms, PostgreSQL runs"


def _one_runs(pods: list[Object], what: str, cure: str) -> None:
    require(bool(pods), f"{what}: no pod", cure)
    require(bool(running(pods)), f"{what}: {len(pods)} pod(s), none ready", cure)


UNWRITABLE = {"Key": "probe", "Body": b"", "ContentMD5": b64encode(bytes(16)).decode()}
"""S3 has no dry run: an object whose checksum is wrong is refused with BadDigest where it may be written, and never stored."""


def isolation(subject: Subject) -> str:
    """Both ways: the tenant's own things answer, another's refuse."""
    other = subject.other
    listed(subject, "v1", "Pod", subject.namespace)
    s3 = subject.aws("s3")
    service = subject.cluster.kind("v1", "Service")
    attempts = {
        f"list pods in {other.namespace}": refused(
            subject, "GET", subject.cluster.kind("v1", "Pod").path(other.namespace)
        ),
        f"reach MLflow of {other.user}": refused(
            subject, "GET", service.path(other.namespace, "mlflow-server:5000", "proxy") + "/health"
        ),
        f"read the database secret of {other.user}": refused(
            subject, "GET", subject.cluster.kind("v1", "Secret").path(other.namespace, "mlflow-database")
        ),
        f"list s3://{other.bucket}": aws_refused(s3.list_objects_v2, Bucket=other.bucket, MaxKeys=1),
        f"read from s3://{other.bucket}": aws_refused(s3.get_object, Bucket=other.bucket, Key="mlflow-artifacts/"),
        f"write to s3://{other.bucket}": aws_refused(s3.put_object, Bucket=other.bucket, **UNWRITABLE),
        f"list images of {other.repositories[0]}": aws_refused(
            subject.aws("ecr").list_images, repositoryName=other.repositories[0]
        ),
    }
    allowed = [what for what, denied in attempts.items() if not denied]
    cure = (
        "the instructor mends RBAC or the IAM policy: kubectl get rolebindings -A; aws iam list-user-policies --user-name "
        + subject.tenant.user
    )
    require(not allowed, f"{subject.tenant.user} may {'; '.join(allowed)}", cure)
    return f"own namespace answers, {len(attempts)} of {len(attempts)} attempts on {other.user} refused"


CHECKS = (
    Check("ML01", "mlflow", "Namespace", "네임스페이스", kubeflow.namespace),
    Check("ML02", "mlflow", "Profile and owner", "Profile 및 소유자", kubeflow.profile, ("ML01",)),
    Check("ML03", "mlflow", "S3 bucket", "S3 버킷", bucket),
    Check("ML04", "mlflow", "ECR repositories", "ECR 리포지토리", repositories),
    Check("ML05", "mlflow", "PodDefault access-mlflow", "PodDefault access-mlflow", access_mlflow, ("ML01", "ML02")),
    Check("ML06", "mlflow", "MLflow server and PostgreSQL", "MLflow 서버 및 PostgreSQL", server, ("ML01", "ML02")),
    Check("ML07", "mlflow", "Isolation, both ways", "양방향 격리", isolation, ("ML01", "ML02")),
)
