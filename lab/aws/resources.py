"""What the lab creates on AWS, as the course's storage guide has it: per tenant a bucket, ECR repositories and an IAM user for just these.

Everything here may run again: what exists is left as it is, so a student's own settings survive an `invoke up`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.aws.base import Keys
from lab.aws.clients import Clients, refused
from lab.settings import Settings, Tenant

PREFIXES = ("mlflow-artifacts/", "kubeflow-pipeline-artifacts/")
SHARED_USER = "mlops-shared"
SHARED_BUCKET = "mlops-training-shared"
POLICY = "mlops-lab"
"""The inline policy of every user that the lab makes."""

_ECR_USE = (
    *(
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "GetDownloadUrlForLayer",
        "InitiateLayerUpload",
        "UploadLayerPart",
    ),
    *("CompleteLayerUpload", "PutImage", "BatchDeleteImage", "CreateRepository", "Describe*", "List*"),
    *("PutImageScanningConfiguration", "PutLifecyclePolicy", "GetLifecyclePolicy*", "GetRepositoryPolicy"),
    *("StartImageScan", "StartLifecyclePolicyPreview"),
)
_BUCKET_USE = (
    *("CreateBucket", "DeleteBucket", "ListBucket*", "GetBucket*", "PutBucketVersioning", "PutBucketPublicAccessBlock"),
    *("GetEncryptionConfiguration", "PutEncryptionConfiguration", "PutBucketPolicy", "DeleteBucketPolicy"),
    *("GetLifecycleConfiguration", "PutLifecycleConfiguration", "PutBucketTagging", "PutBucketCORS"),
)
_OBJECT_USE = (
    *("GetObject*", "PutObject", "PutObjectTagging", "DeleteObject", "DeleteObjectVersion"),
    *("AbortMultipartUpload", "ListMultipartUploadParts"),
)
"""What the guides have students do with what is theirs. Not among it: access lists, ownership, replication, retention, deleting a repository."""


def policy(settings: Settings, *, buckets: Sequence[str], repositories: Sequence[str]) -> dict[str, Any]:
    """The guide's IAM policy (S3 list, get, put, delete; ECR push and pull), narrowed to one tenant's own names."""
    ecr = f"arn:aws:ecr:{settings.region}:{settings.account}:repository"
    statements = [
        _allow("OwnBucket", [f"s3:{action}" for action in _BUCKET_USE], [f"arn:aws:s3:::{name}" for name in buckets]),
        _allow(
            "OwnObjects", [f"s3:{action}" for action in _OBJECT_USE], [f"arn:aws:s3:::{name}/*" for name in buckets]
        ),
        _allow("OwnRepositories", [f"ecr:{action}" for action in _ECR_USE], [f"{ecr}/{name}" for name in repositories]),
        _allow("RegistryLogin", ["ecr:GetAuthorizationToken"], ["*"]),
        _allow(
            "Cluster",
            ["eks:DescribeCluster"],
            [f"arn:aws:eks:{settings.region}:{settings.account}:cluster/{settings.eks_cluster}"],
        ),
        _allow("WhoAmI", ["sts:GetCallerIdentity"], ["*"]),
    ]
    return {"Version": "2012-10-17", "Statement": [statement for statement in statements if statement["Resource"]]}


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


@dataclass(frozen=True)
class Inventory:
    """What there is already, asked once for a whole class instead of once per thing."""

    buckets: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    entries: frozenset[str] = frozenset()
    """ARNs of the IAM users who may sign in to the cluster."""


NOTHING = Inventory()


def inventory(clients: Clients, settings: Settings) -> Inventory:
    def pages(service: str, operation: str, result: str, **arguments: str) -> list[Any]:
        found = clients(service).get_paginator(operation).paginate(**arguments)
        return [item for page in _ask(lambda: list(found)) for item in page[result]]

    return Inventory(
        buckets=frozenset(item["Name"] for item in _ask(clients("s3").list_buckets)["Buckets"]),
        repositories=frozenset(
            item["repositoryName"] for item in pages("ecr", "describe_repositories", "repositories")
        ),
        users=frozenset(item["UserName"] for item in pages("iam", "list_users", "Users")),
        entries=frozenset(pages("eks", "list_access_entries", "accessEntries", clusterName=settings.eks_cluster)),
    )


def is_provided(clients: Clients, settings: Settings, tenant: Tenant, *, there: Inventory) -> bool:
    """Whether a tenant's bucket, repositories and user are there, and the user's policy is the lab's."""
    if tenant.bucket not in there.buckets or not there.repositories.issuperset(tenant.repositories):
        return False
    if tenant.user not in there.users:
        return False
    found = _find(clients("iam").get_user_policy, UserName=tenant.user, PolicyName=POLICY)
    document = found and found["PolicyDocument"]
    own = policy(settings, buckets=[tenant.bucket], repositories=tenant.repositories)
    return bool((json.loads(document) if isinstance(document, str) else document) == own)


def provide_tenant(
    clients: Clients, settings: Settings, tenant: Tenant, *, groups: Sequence[str], known: Keys | None, there: Inventory
) -> Keys:
    """Bucket, repositories, IAM user, policy and cluster access of one tenant; returns the user's keys (`known` where they still exist).

    Keys are what is made last: where none are known, an `up` ended halfway, and what it made may lack its settings.
    """
    unfinished = known is None
    if unfinished or tenant.bucket not in there.buckets:
        provide_bucket(clients, settings, tenant.bucket, there=there)
    for name in tenant.repositories:
        if unfinished or name not in there.repositories:
            provide_repository(clients, name, there=there)
    own = policy(settings, buckets=[tenant.bucket], repositories=tenant.repositories)
    keys = provide_user(clients, tenant.user, own, known, there=there)
    provide_access(clients, settings, tenant, groups, there=there)
    return keys


def provide_access(
    clients: Clients, settings: Settings, tenant: Tenant, groups: Sequence[str], *, there: Inventory
) -> None:
    """EKS lets the IAM user sign in to the cluster as the tenant: `aws eks update-kubeconfig`, then kubectl."""
    eks = clients("eks")
    entry = {"clusterName": settings.eks_cluster, "principalArn": f"arn:aws:iam::{settings.account}:user/{tenant.user}"}
    who = {"kubernetesGroups": list(groups), "username": tenant.email}
    if entry["principalArn"] in there.entries:
        _ask(eks.update_access_entry, **entry, **who)
    else:
        _ask(eks.create_access_entry, **entry, **who)


def provide_shared(clients: Clients, settings: Settings, *, known: Keys | None, there: Inventory) -> Keys:
    """What the shared MLflow server, training and serving use: one bucket and one user for it."""
    if known is None or SHARED_BUCKET not in there.buckets:
        provide_bucket(clients, settings, SHARED_BUCKET, there=there)
    return provide_user(
        clients, SHARED_USER, policy(settings, buckets=[SHARED_BUCKET], repositories=[]), known, there=there
    )


def provide_bucket(clients: Clients, settings: Settings, name: str, *, there: Inventory = NOTHING) -> None:
    """Encrypted, versioned, closed to the public, with the guide's two prefixes."""
    s3 = clients("s3")
    location = (
        {} if settings.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": settings.region}}
    )
    if name not in there.buckets:
        _ask(s3.create_bucket, Bucket=name, **location)
    configure_bucket(clients, name)
    for prefix in PREFIXES:
        _ask(s3.put_object, Bucket=name, Key=prefix)


def configure_bucket(clients: Clients, name: str) -> None:
    """Encryption (AES256), versioning and no public access, as the guide has students set them."""
    s3 = clients("s3")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    _ask(s3.put_bucket_encryption, Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    _ask(s3.put_bucket_versioning, Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    _ask(s3.put_public_access_block, Bucket=name, PublicAccessBlockConfiguration=closed)


def provide_repository(clients: Clients, name: str, *, there: Inventory = NOTHING) -> None:
    """Scans on push and keeps the last ten images."""
    ecr = clients("ecr")
    if name not in there.repositories:
        _ask(ecr.create_repository, repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
    _ask(ecr.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=json.dumps(LIFECYCLE))


LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "keep the last 10 images",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
            "action": {"type": "expire"},
        }
    ]
}


def provide_user(
    clients: Clients, name: str, document: dict[str, Any], known: Keys | None, *, there: Inventory
) -> Keys:
    """An IAM user with an inline policy and one access key; `known` is kept where AWS still has it."""
    iam = clients("iam")
    if name not in there.users:
        _ask(iam.create_user, UserName=name)
    _ask(iam.put_user_policy, UserName=name, PolicyName=POLICY, PolicyDocument=json.dumps(document))
    listed = _ask(iam.list_access_keys, UserName=name)["AccessKeyMetadata"] if name in there.users else []
    if known and any(key["AccessKeyId"] == known.access_key_id for key in listed):
        return known
    for key in listed[1:]:
        _ask(iam.delete_access_key, UserName=name, AccessKeyId=key["AccessKeyId"])
    made = _ask(iam.create_access_key, UserName=name)["AccessKey"]
    return Keys(made["AccessKeyId"], made["SecretAccessKey"])


def remove_tenant(clients: Clients, tenant: Tenant, *, bucket: bool) -> None:
    """Repositories, IAM user and, where asked for, the bucket with every version in it; what is gone already is fine."""
    for name in tenant.repositories:
        if _exists(clients("ecr").describe_repositories, repositoryNames=[name]):
            _ask(clients("ecr").delete_repository, repositoryName=name, force=True)
    remove_user(clients, tenant.user)
    if bucket and _exists(clients("s3").head_bucket, Bucket=tenant.bucket):
        remove_bucket(clients, tenant.bucket)


def remove_user(clients: Clients, name: str) -> None:
    iam = clients("iam")
    if not _exists(iam.get_user, UserName=name):
        return
    for key in _ask(iam.list_access_keys, UserName=name)["AccessKeyMetadata"]:
        _ask(iam.delete_access_key, UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy_name in _ask(iam.list_user_policies, UserName=name)["PolicyNames"]:
        _ask(iam.delete_user_policy, UserName=name, PolicyName=policy_name)
    _ask(iam.delete_user, UserName=name)


def remove_bucket(clients: Clients, name: str) -> None:
    """With every version of every object."""
    s3 = clients("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            _ask(s3.delete_object, Bucket=name, Key=item["Key"], VersionId=item["VersionId"])
    _ask(s3.delete_bucket, Bucket=name)


def _exists(call: Callable[..., Any], **arguments: Any) -> bool:
    return _find(call, **arguments) is not None


def _find(call: Callable[..., Any], **arguments: Any) -> Any:
    """The answer, or None where AWS says that there is no such thing."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in (
            "404",
            "NoSuchBucket",
            "NoSuchEntity",
            "RepositoryNotFoundException",
            "ResourceNotFoundException",
        ):
            return None
        raise refused(error) from None
    except BotoCoreError as error:
        raise refused(error) from None


def _ask(call: Callable[..., Any], **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**arguments)
    except (BotoCoreError, ClientError) as error:
        raise refused(error) from None
