"""What the lab makes on AWS for a tenant: settings as the guides teach, rights for the tenant's own things, and repair of what was left half-made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws import resources
from lab.world import World
from tests.lab.push.accounts import with_accounts

OWN, OTHER, KEY = "mlops-training-user01", "mlops-training-user02", "mlflow-artifacts/x"
REPOSITORY, FOREIGN = "mlops-training/user01/iris-api", "mlops-training/user02/iris-api"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{OWN}/never/*"}
    ],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with with_accounts(tmp_path_factory.mktemp("resources")) as made:
        yield made


def code(call: Callable[..., Any], **arguments: Any) -> str:
    """The error's code; "allowed" where the call succeeded."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "allowed"


def test_a_bucket_is_encrypted_versioned_and_closed(world: World) -> None:
    s3 = world.aws_as(world.settings.one("01"))("s3")
    (rule,) = s3.get_bucket_encryption(Bucket=OWN)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_versioning(Bucket=OWN)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=OWN)["PublicAccessBlockConfiguration"].values()) == {True}
    assert s3.get_bucket_location(Bucket=OWN)["LocationConstraint"] == "ap-northeast-2"


def test_every_repository_scans_on_push_and_keeps_the_last_ten(world: World) -> None:
    tenant = world.settings.one("01")
    ecr = world.aws_as(tenant)("ecr")
    found = ecr.describe_repositories(repositoryNames=list(tenant.repositories))["repositories"]
    assert {item["imageScanningConfiguration"]["scanOnPush"] for item in found} == {True}
    for name in tenant.repositories:
        (rule,) = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
        assert (rule["selection"]["countType"], rule["selection"]["countNumber"]) == ("imageCountMoreThan", 10)


ALLOWED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "list own bucket": ("s3", "list_objects_v2", {"Bucket": OWN}),
    "write own object": ("s3", "put_object", {"Bucket": OWN, "Key": KEY, "Body": b"1"}),
    "read own object": ("s3", "get_object", {"Bucket": OWN, "Key": KEY}),
    "delete own object": ("s3", "delete_object", {"Bucket": OWN, "Key": KEY}),
    "own bucket's policy": ("s3", "put_bucket_policy", {"Bucket": OWN, "Policy": json.dumps(POLICY)}),
    "own bucket's versioning": (
        "s3",
        "put_bucket_versioning",
        {"Bucket": OWN, "VersioningConfiguration": {"Status": "Enabled"}},
    ),
    "own repository": ("ecr", "describe_repositories", {"repositoryNames": [REPOSITORY]}),
    "own images": ("ecr", "list_images", {"repositoryName": REPOSITORY}),
    "registry login": ("ecr", "get_authorization_token", {}),
    "the cluster": ("eks", "describe_cluster", {"name": "mlops-training-cluster"}),
    "who am I": ("sts", "get_caller_identity", {}),
}
DENIED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "another's bucket": ("s3", "list_objects_v2", {"Bucket": OTHER}),
    "another's object": ("s3", "get_object", {"Bucket": OTHER, "Key": KEY}),
    "write to another": ("s3", "put_object", {"Bucket": OTHER, "Key": KEY, "Body": b"1"}),
    "another's bucket policy": ("s3", "put_bucket_policy", {"Bucket": OTHER, "Policy": json.dumps(POLICY)}),
    "all buckets": ("s3", "list_buckets", {}),
    "a bucket of no tenant": ("s3", "create_bucket", {"Bucket": "mlops-training-somebody"}),
    "own access list": ("s3", "put_object_acl", {"Bucket": OWN, "Key": "mlflow-artifacts/", "ACL": "public-read"}),
    "own bucket's access list": ("s3", "put_bucket_acl", {"Bucket": OWN, "ACL": "private"}),
    "another's repository": ("ecr", "list_images", {"repositoryName": FOREIGN}),
    "delete own repository": ("ecr", "delete_repository", {"repositoryName": REPOSITORY}),
    "users": ("iam", "list_users", {}),
    "own rights": ("iam", "put_user_policy", {"UserName": "user01", "PolicyName": "more", "PolicyDocument": "{}"}),
    "access to the cluster": ("eks", "list_access_entries", {"clusterName": "mlops-training-cluster"}),
}
READS = re.compile(r"[a-z0-9]+:(Get|List|Describe)[A-Za-z]*\*$")
REFUSALS = {"AccessDenied", "AccessDeniedException", "AccessControlListNotSupported"}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_tenant_may(world: World, what: str) -> None:
    service, call, arguments = ALLOWED[what]
    first = world.aws_as(world.settings.one("01"))
    first("s3").put_object(Bucket=OWN, Key=KEY, Body=b"1")
    assert code(getattr(first(service), call), **arguments) == "allowed"


@pytest.mark.parametrize("what", DENIED)
def test_a_tenant_may_not(world: World, what: str) -> None:
    service, call, arguments = DENIED[what]
    assert code(getattr(world.aws_as(world.settings.one("01"))(service), call), **arguments) in REFUSALS


def test_the_policy_names_nothing_but_the_tenants_own(world: World) -> None:
    tenant = world.settings.one("01")
    made = resources.policy(world.settings, buckets=[tenant.bucket], repositories=tenant.repositories)
    for statement in made["Statement"]:
        writes = [action for action in statement["Action"] if "*" in action and not READS.match(action)]
        assert not writes, statement["Sid"]
        if statement["Resource"] != ["*"]:
            assert all("user01" in arn or arn.endswith("mlops-training-cluster") for arn in statement["Resource"])
    assert len(json.dumps(made, separators=(",", ":"))) <= 2048  # AWS's limit for a user's inline policies


def test_what_an_up_left_half_made_gets_its_settings(world: World) -> None:
    """Killed between making a bucket or a repository and setting it: no keys are known then."""
    tenant = world.settings.one("07")
    region = {"LocationConstraint": world.settings.region}
    world.root("s3").create_bucket(Bucket=tenant.bucket, CreateBucketConfiguration=region)
    world.root("ecr").create_repository(repositoryName=tenant.repositories[0])
    there = resources.inventory(world.root, world.settings)
    keys = resources.provide_tenant(world.root, world.settings, tenant, groups=["g"], known=None, there=there)
    assert world.root("s3").get_bucket_versioning(Bucket=tenant.bucket)["Status"] == "Enabled"
    assert world.root("ecr").get_lifecycle_policy(repositoryName=tenant.repositories[0])["lifecyclePolicyText"]
    again = resources.provide_tenant(
        world.root,
        world.settings,
        tenant,
        groups=["g"],
        known=keys,
        there=resources.inventory(world.root, world.settings),
    )
    assert again == keys


def test_a_students_own_settings_survive_the_next_up(world: World) -> None:
    tenant = world.settings.one("01")
    suspended = {"Status": "Suspended"}
    world.root("s3").put_bucket_versioning(Bucket=OWN, VersioningConfiguration=suspended)
    known = world.aws.keys("user01")
    there = replace(resources.inventory(world.root, world.settings))
    resources.provide_tenant(world.root, world.settings, tenant, groups=["g"], known=known, there=there)
    assert world.root("s3").get_bucket_versioning(Bucket=OWN)["Status"] == "Suspended"


def test_what_was_taken_from_a_tenant_is_missed(world: World) -> None:
    tenant, there = world.settings.one("01"), resources.inventory(world.root, world.settings)
    assert resources.is_provided(world.root, world.settings, tenant, there=there)
    assert not resources.is_provided(world.root, world.settings, tenant, there=resources.NOTHING)
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    world.root("iam").put_user_policy(UserName=tenant.user, PolicyName=resources.POLICY, PolicyDocument=document)
    assert not resources.is_provided(world.root, world.settings, tenant, there=there)
    world.root("iam").delete_user_policy(UserName=tenant.user, PolicyName=resources.POLICY)
    assert not resources.is_provided(world.root, world.settings, tenant, there=there)
    resources.provide_tenant(
        world.root, world.settings, tenant, groups=["g"], known=world.aws.keys("user01"), there=there
    )
    assert resources.is_provided(world.root, world.settings, tenant, there=there)
