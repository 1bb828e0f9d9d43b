"""The calls Terraform's AWS provider makes for a bucket, a repository, a user and a role: create, read everything back, change, destroy.

The provider reads every setting of a resource after making it, and takes a setting that is absent only by AWS's own error code.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.awssim.running import ACCOUNT, REGION, Running

BUCKET = "terraformed"


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def s3(stand: Running) -> Any:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


ABSENT = {
    "get_bucket_policy": "NoSuchBucketPolicy",
    "get_bucket_cors": "NoSuchCORSConfiguration",
    "get_bucket_website": "NoSuchWebsiteConfiguration",
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "get_bucket_tagging": "NoSuchTagSet",
}


@pytest.mark.parametrize("setting", ABSENT)
def test_a_setting_that_is_absent_is_said_so_by_awss_code(s3: Any, setting: str) -> None:
    assert code(getattr(s3, setting), Bucket=BUCKET) == ABSENT[setting]


def test_a_bucket_is_read_back_as_it_was_made(s3: Any) -> None:
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == REGION
    assert s3.get_bucket_acl(Bucket=BUCKET)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert s3.get_bucket_versioning(Bucket=BUCKET).get("Status") is None
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=BUCKET)
    assert s3.get_bucket_request_payment(Bucket=BUCKET)["Payer"] == "BucketOwner"
    assert code(s3.get_bucket_policy_status, Bucket=BUCKET) == "NoSuchBucketPolicy"
    for kind in ("analytics", "inventory", "metrics", "intelligent_tiering"):
        assert getattr(s3, f"list_bucket_{kind}_configurations")(Bucket=BUCKET)["IsTruncated"] is False
        assert code(getattr(s3, f"get_bucket_{kind}_configuration"), Bucket=BUCKET, Id="x") == "NoSuchConfiguration"
    assert code(s3.put_bucket_metrics_configuration, Bucket=BUCKET, Id="x", MetricsConfiguration={"Id": "x"}) == (
        "NotImplemented"
    )
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=BUCKET)
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    owner = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
    assert owner == "BucketOwnerEnforced"
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert code(s3.create_bucket, Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}) == (
        "BucketAlreadyOwnedByYou"
    )


def test_a_buckets_resources_are_made_and_destroyed(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "Owner", "Value": "user01"}]})
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    (read,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert {name: read[name] for name in ("ID", "Status", "NoncurrentVersionExpiration")} == {
        "ID": "r",
        "Status": "Enabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
    }
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    assert code(s3.delete_bucket, Bucket=BUCKET) == "BucketNotEmpty"
    versions = s3.list_object_versions(Bucket=BUCKET)["Versions"]
    named = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in versions]
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": named})
    for delete in (s3.delete_bucket_lifecycle, s3.delete_bucket_tagging, s3.delete_public_access_block):
        delete(Bucket=BUCKET)
    assert code(s3.get_public_access_block, Bucket=BUCKET) == "NoSuchPublicAccessBlockConfiguration"
    s3.delete_bucket(Bucket=BUCKET)
    assert code(s3.head_bucket, Bucket=BUCKET) == "404"


def test_a_repository(stand: Running) -> None:
    ecr, name = stand.client("ecr"), {"repositoryName": "terraformed/app"}
    made = ecr.create_repository(
        **name, imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "AES256"}, tags=[{"Key": "a", "Value": "b"}],
    )["repository"]  # fmt: skip
    read = ecr.describe_repositories(repositoryNames=[name["repositoryName"]])["repositories"][0]
    assert {**read, "createdAt": 0} == {**made, "createdAt": 0}
    assert (read["imageTagMutability"], read["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "a", "Value": "b"}]
    assert code(ecr.get_repository_policy, **name) == "RepositoryPolicyNotFoundException"
    assert code(ecr.get_lifecycle_policy, **name) == "LifecyclePolicyNotFoundException"
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7}
    policy = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    ecr.put_lifecycle_policy(**name, lifecyclePolicyText=policy)
    assert json.loads(ecr.get_lifecycle_policy(**name)["lifecyclePolicyText"]) == json.loads(policy)
    ecr.put_image_tag_mutability(**name, imageTagMutability="MUTABLE")
    ecr.delete_repository(**name)
    assert code(ecr.describe_repositories, repositoryNames=[name["repositoryName"]]) == "RepositoryNotFoundException"


POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}


def test_a_user_with_a_policy_and_a_key(stand: Running) -> None:
    iam, user = stand.client("iam"), {"UserName": "terraformed"}
    iam.create_user(**user, Path="/course/", Tags=[{"Key": "a", "Value": "b"}])
    read = iam.get_user(**user)["User"]
    assert read["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/course/terraformed"
    assert read["Tags"] == [{"Key": "a", "Value": "b"}]
    arn = iam.create_policy(PolicyName="terraformed", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"] == POLICY
    iam.attach_user_policy(**user, PolicyArn=arn)
    assert iam.list_attached_user_policies(**user)["AttachedPolicies"] == [
        {"PolicyName": "terraformed", "PolicyArn": arn}
    ]
    key = iam.create_access_key(**user)["AccessKey"]["AccessKeyId"]
    assert [item["AccessKeyId"] for item in iam.list_access_keys(**user)["AccessKeyMetadata"]] == [key]
    assert code(iam.get_login_profile, **user) == "NoSuchEntity"
    assert code(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    assert code(iam.delete_user, **user) == "DeleteConflict"
    iam.delete_access_key(**user, AccessKeyId=key)
    iam.detach_user_policy(**user, PolicyArn=arn)
    assert [item["VersionId"] for item in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == [version]
    iam.delete_policy(PolicyArn=arn)
    iam.delete_user(**user)
    assert code(iam.get_user, **user) == "NoSuchEntity"


def test_a_role(stand: Running) -> None:
    iam, role = stand.client("iam"), {"RoleName": "terraformed"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(**role, AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=7200)
    read = iam.get_role(**role)["Role"]
    assert (read["AssumeRolePolicyDocument"], read["MaxSessionDuration"]) == (trust, 7200)
    iam.put_role_policy(**role, PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    assert iam.list_role_policies(**role)["PolicyNames"] == ["inline"]
    assert iam.get_role_policy(**role, PolicyName="inline")["PolicyDocument"] == POLICY
    assert iam.list_attached_role_policies(**role)["AttachedPolicies"] == []
    assert iam.list_instance_profiles_for_role(**role)["InstanceProfiles"] == []
    assert code(iam.delete_role, **role) == "DeleteConflict"
    iam.delete_role_policy(**role, PolicyName="inline")
    iam.delete_role(**role)
    assert code(iam.get_role, **role) == "NoSuchEntity"
