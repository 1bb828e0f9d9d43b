"""Faults of S3, ECR and IAM."""

from __future__ import annotations

import json
from typing import Any

from lab.aws import resources
from lab.errors import LabError
from lab.faults.base import Fault
from lab.messages import mark, t
from lab.settings import Tenant
from lab.world import World

ASIDE = "mlops-lab-set-aside-{user}"


def _policy(world: World, tenant: Tenant) -> dict[str, Any]:
    return resources.policy(world.settings, buckets=[tenant.bucket], repositories=tenant.repositories)


def _put(world: World, tenant: Tenant, document: dict[str, Any]) -> None:
    world.root("iam").put_user_policy(
        UserName=tenant.user, PolicyName=resources.POLICY, PolicyDocument=json.dumps(document)
    )


def deny_s3(world: World, tenant: Tenant) -> None:
    document = _policy(world, tenant)
    kept = [
        statement for statement in document["Statement"] if not statement["Sid"].startswith(("OwnBucket", "OwnObjects"))
    ]
    _put(world, tenant, document | {"Statement": kept})


def allow_s3(world: World, tenant: Tenant) -> None:
    _put(world, tenant, _policy(world, tenant))


def s3_is_denied(world: World, tenant: Tenant) -> bool:
    found = world.root("iam").get_user_policy(UserName=tenant.user, PolicyName=resources.POLICY)["PolicyDocument"]
    document = json.loads(found) if isinstance(found, str) else found
    return not any(statement.get("Sid") == "OwnBucket" for statement in document["Statement"])


def remove_bucket(world: World, tenant: Tenant) -> None:
    """Its objects are set aside first (their newest versions): breaking a lab loses nobody's work."""
    s3, aside = world.root("s3"), ASIDE.format(user=tenant.user)
    if not _bucket_exists(world, aside):
        resources.provide_bucket(world.root, world.settings, aside)
    _copy(s3, tenant.bucket, aside)
    resources.remove_bucket(world.root, tenant.bucket)


def restore_bucket(world: World, tenant: Tenant) -> None:
    """Also where the student made an empty one with `aws s3 mb`: settings and objects come back."""
    s3, aside = world.root("s3"), ASIDE.format(user=tenant.user)
    if not bucket_is_missing(world, tenant):
        resources.configure_bucket(world.root, tenant.bucket)
    else:
        resources.provide_bucket(world.root, world.settings, tenant.bucket)
    if not _bucket_exists(world, aside):
        return
    _copy(s3, aside, tenant.bucket)
    resources.remove_bucket(world.root, aside)


def _copy(s3: Any, source: str, target: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=source):
        for item in page.get("Contents", []):
            s3.copy_object(Bucket=target, Key=item["Key"], CopySource={"Bucket": source, "Key": item["Key"]})


def bucket_is_missing(world: World, tenant: Tenant) -> bool:
    return not _bucket_exists(world, tenant.bucket)


def _bucket_exists(world: World, name: str) -> bool:
    return any(bucket["Name"] == name for bucket in world.root("s3").list_buckets()["Buckets"])


def remove_repository(world: World, tenant: Tenant) -> None:
    name = tenant.repositories[1]
    ecr = world.root("ecr")
    if ecr.list_images(repositoryName=name)["imageIds"]:
        raise LabError(
            t("repository {name} holds images, which would be lost", name=name),
            t("choose a tenant that has pushed nothing: --user NN"),
        )
    ecr.delete_repository(repositoryName=name)


def restore_repository(world: World, tenant: Tenant) -> None:
    if repository_is_missing(world, tenant):
        resources.provide_repository(world.root, tenant.repositories[1])


def repository_is_missing(world: World, tenant: Tenant) -> bool:
    ecr = world.root("ecr")
    pages = ecr.get_paginator("describe_repositories").paginate()
    return all(item["repositoryName"] != tenant.repositories[1] for page in pages for item in page["repositories"])


FAULTS = (
    Fault(
        "s3-access-denied",
        mark("IAM denies S3"),
        "An error occurred (AccessDenied) when calling the ListObjectsV2 operation",
        mark(
            "aws configure; aws sts get-caller-identity; then the guide's IAM policy, which the instructor attaches: ./inv up --tenants {num}"
        ),
        ("ML03", "ST01"),
        deny_s3,
        allow_s3,
        s3_is_denied,
        "aws configure; aws sts get-caller-identity",
    ),
    Fault(
        "bucket-missing",
        mark("the S3 bucket is gone"),
        "An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: The specified bucket does not exist",
        "aws s3 mb s3://{bucket}",
        ("ML03", "ST01"),
        remove_bucket,
        restore_bucket,
        bucket_is_missing,
        "aws s3 mb s3://{bucket}",
    ),
    Fault(
        "ecr-missing",
        mark("an ECR repository is gone"),
        "An error occurred (RepositoryNotFoundException): The repository with name '{repository}' does not exist",
        "aws ecr create-repository --repository-name {repository} --region {region}",
        ("ML04", "ST02"),
        remove_repository,
        restore_repository,
        repository_is_missing,
        "aws ecr create-repository --repository-name {repository} --region {region}",
    ),
)
