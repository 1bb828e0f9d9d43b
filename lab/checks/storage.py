"""Part 3 of the course's checks: the tenant's storage on S3 and ECR. (6)

The guide's step 0, credentials and account, is where ST01 begins, so that a student without keys sees that and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from lab.checks.base import Check, Subject, require
from lab.checks.probes import aws, bucket_region, described, proxied
from lab.errors import LabError
from lab.messages import t

_AES256 = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
_CLOSED = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"


def bucket(subject: Subject) -> str:
    name, settings = subject.tenant.bucket, subject.settings
    identity = aws(subject.aws("sts").get_caller_identity, "aws configure; aws sts get-caller-identity")
    account = identity["Account"]
    cure = "aws configure" + (
        t("; where this is the course's: LAB_ACCOUNT={account}", account=account) if settings.aws == "real" else ""
    )
    require(
        account == settings.account,
        t("AWS account: expected {wanted}, found {seen}", wanted=settings.account, seen=account),
        cure,
    )
    region = bucket_region(subject, name, f"aws s3 mb s3://{name}")
    require(
        region == settings.region,
        t(
            "bucket {name}: expected region {wanted}, found {seen}",
            name=name,
            wanted=settings.region,
            seen=region,
        ),
        f"aws s3 rb s3://{name}; aws s3 mb s3://{name}",
    )
    found = contents(subject)
    shown = ", ".join(sorted(found.folders)) or t("none")
    return t(
        "s3://{name} in {region}, {objects} objects, folders {shown} ({who})",
        name=name,
        region=region,
        objects=found.objects,
        shown=shown,
        who=identity["Arn"].split(":")[-1],
    )


def repositories(subject: Subject) -> str:
    ecr = subject.aws("ecr")
    registry = f"{subject.settings.account}.dkr.ecr.{subject.settings.region}.amazonaws.com/"
    seen = []
    for found in described(subject, subject.tenant.repositories):
        name, uri = found["repositoryName"], found["repositoryUri"]
        require(registry in uri, t("repository {name} has URI {uri}", name=name, uri=uri), "aws configure list")
        seen.append(f"{name}: {_images(ecr, name)}")
    return "; ".join(seen)


def _images(ecr: Any, repository: str) -> str:
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=repository, PaginationConfig={"PageSize": 1000}
    )
    images = aws(lambda: [image for page in pages for image in page["imageDetails"]], "")
    newest: dict[str, Any] = max(images, key=lambda image: image["imagePushedAt"], default={})
    return t("{images} images", images=len(images)) + (
        t(", latest {tags}", tags=", ".join(newest.get("imageTags") or [t("untagged")])) if images else ""
    )


def artifacts(subject: Subject) -> str:
    return t("{folder}: {count} experiments", **_folder(subject, "mlflow-artifacts/"))


def pipelines(subject: Subject) -> str:
    return t("{folder}: {count} runs", **_folder(subject, "kubeflow-pipeline-artifacts/"))


def _folder(subject: Subject, prefix: str) -> dict[str, object]:
    """Where the folder is, and how many folders it has."""
    name, found = subject.tenant.bucket, contents(subject)
    require(
        prefix in found.folders,
        t("s3://{name}/{prefix} is missing", name=name, prefix=prefix),
        f"aws s3api put-object --bucket {name} --key {prefix}",
    )
    return {"folder": f"s3://{name}/{prefix}", "count": len(found.folders[prefix])}


@dataclass(frozen=True)
class Contents:
    """How many objects a bucket holds, and its folders with theirs, as `aws s3 ls` shows them: {"mlflow-artifacts/": {"1/", "2/"}}."""

    objects: int
    folders: Mapping[str, AbstractSet[str]]


def contents(subject: Subject) -> Contents:
    """One pass over the bucket's keys answers the object count and the folders of three checks."""

    def ask() -> Contents:
        found: Contents = aws(lambda: _read(subject), f"aws s3 ls s3://{subject.tenant.bucket}/")
        return found

    return subject.answers.once(("contents",), ask)


def _read(subject: Subject) -> Contents:
    objects, folders = 0, dict[str, set[str]]()
    for page in subject.aws("s3").get_paginator("list_objects_v2").paginate(Bucket=subject.tenant.bucket):
        for item in page.get("Contents", []):
            objects += 1
            top, slash, rest = item["Key"].partition("/")
            if slash:
                inner = folders.setdefault(f"{top}/", set())
                inner.update([f"{rest.partition('/')[0]}/"] if "/" in rest else [])
    return Contents(objects, folders)


def architecture(subject: Subject) -> str:
    """The guide's summary, checked: encrypted, versioned and closed to the public."""
    name, s3 = subject.tenant.bucket, subject.aws("s3")
    cure = f"aws s3api put-bucket-encryption --bucket {name} --server-side-encryption-configuration '{_AES256}'"
    rules = aws(s3.get_bucket_encryption, cure, Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    algorithm = rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    versioning = aws(s3.get_bucket_versioning, "", Bucket=name).get("Status", "off")
    cure = f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled"
    require(versioning == "Enabled", t("versioning of {name} is {versioning}", name=name, versioning=versioning), cure)
    cure = f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration {_CLOSED}"
    block = aws(s3.get_public_access_block, cure, Bucket=name)["PublicAccessBlockConfiguration"]
    opened = [key for key, value in block.items() if not value]
    require(not opened, t("{name} is open to the public: {opened} off", name=name, opened=", ".join(opened)), cure)
    return t("encrypted ({algorithm}), versioned, private", algorithm=algorithm)


def data_flow(subject: Subject) -> str:
    """Training writes to MLflow, MLflow's artifacts go to this tenant's bucket."""
    search = "api/2.0/mlflow/experiments/search"
    cure = f"kubectl logs -n {subject.namespace} deployment/mlflow-server"
    try:
        answer = proxied(subject, "mlflow-server:5000", search, {"max_results": "100"})
    except LabError as error:
        require(
            False,
            t("MLflow of {user} does not list experiments: {why}", user=subject.tenant.user, why=error.message),
            cure,
        )
    experiments = answer.get("experiments", []) if isinstance(answer, dict) else []
    require(
        bool(experiments), t("MLflow of {user} has not even the Default experiment", user=subject.tenant.user), cure
    )
    root = f"s3://{subject.tenant.bucket}/mlflow-artifacts"
    strays = [item["name"] for item in experiments if not item["artifact_location"].startswith(root)]
    require(
        not strays, t("experiments that do not write to {root}: {strays}", root=root, strays=", ".join(strays)), cure
    )
    return t("PostgreSQL <- MLflow ({experiments} experiments) -> {root}", experiments=len(experiments), root=root)


CHECKS = (
    Check("ST01", "storage", "AWS account and S3 bucket", "AWS 계정 및 S3 버킷", bucket),
    Check("ST02", "storage", "ECR repositories and images", "ECR 리포지토리 및 이미지", repositories, ("ST01",)),
    Check("ST03", "storage", "MLflow artifacts", "MLflow 아티팩트", artifacts, ("ST01",)),
    Check("ST04", "storage", "Pipeline artifacts", "Kubeflow Pipeline 아티팩트", pipelines, ("ST01",)),
    Check("ST05", "storage", "Storage architecture", "스토리지 아키텍처 요약", architecture, ("ST01",)),
    Check("ST06", "storage", "Data flow", "데이터 흐름", data_flow, ("ST01", "ST03", "ML06")),
)
