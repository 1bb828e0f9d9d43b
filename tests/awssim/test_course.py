"""What the lab and the course's storage part do, with boto3: everything a tenant has, and the walls between tenants."""

import io
import json
from typing import Any

import boto3.s3.transfer
import pytest
from botocore.exceptions import ClientError

from tests.awssim.running import ACCOUNT, REGION, Keys, Running, tenant, tenant_policy

ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]}
BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 7,
            },
            "action": {"type": "expire"},
        }
    ]
}


def make_tenant(stand: Running, number: str) -> Keys:
    s3, ecr = stand.client("s3"), stand.client("ecr")
    bucket = f"mlops-training-user{number}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=ENCRYPTION)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=BLOCK)
    for prefix in ("mlflow-artifacts/", "kubeflow-pipeline-artifacts/"):
        s3.put_object(Bucket=bucket, Key=prefix)
    for repository in (f"mlops-training/user{number}", f"mlops-training/user{number}/iris-api"):
        ecr.create_repository(repositoryName=repository)
        ecr.put_image_scanning_configuration(repositoryName=repository, imageScanningConfiguration={"scanOnPush": True})
        ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps(LIFECYCLE))
    return tenant(stand, f"user{number}", tenant_policy(number))


@pytest.fixture(scope="module")
def tenants(stand: Running) -> dict[str, Keys]:
    return {number: make_tenant(stand, number) for number in ("01", "02")}


def test_a_tenant_sees_its_bucket_as_the_checks_ask(stand: Running, tenants: dict[str, Keys]) -> None:
    s3, bucket = stand.client("s3", tenants["01"]), "mlops-training-user01"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == REGION
    found = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [item["Prefix"] for item in found["CommonPrefixes"]] == ["kubeflow-pipeline-artifacts/", "mlflow-artifacts/"]
    s3.head_bucket(Bucket=bucket)
    root = stand.client("s3")
    assert root.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert root.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == ENCRYPTION
    assert root.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == BLOCK


def denied(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_user01_is_refused_on_user02s_bucket_with_awss_message(stand: Running, tenants: dict[str, Keys]) -> None:
    s3 = stand.client("s3", tenants["01"])
    assert denied(s3.list_objects_v2, Bucket="mlops-training-user02") == (
        f"AccessDenied: User: arn:aws:iam::{ACCOUNT}:user/user01 is not authorized to perform: s3:ListBucket on resource: "
        '"arn:aws:s3:::mlops-training-user02" because no identity-based policy allows the s3:ListBucket action'
    )
    assert "s3:PutObject" in denied(s3.put_object, Bucket="mlops-training-user02", Key="stolen", Body=b"x")
    assert "s3:GetObject" in denied(s3.get_object, Bucket="mlops-training-user02", Key="mlflow-artifacts/")


def test_user01_is_refused_on_user02s_repository(stand: Running, tenants: dict[str, Keys]) -> None:
    ecr = stand.client("ecr", tenants["01"])
    assert ecr.describe_repositories(repositoryNames=["mlops-training/user01"])["repositories"][0]["repositoryUri"] == (
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mlops-training/user01"
    )
    assert denied(ecr.list_images, repositoryName="mlops-training/user02") == (
        f"AccessDeniedException: User: arn:aws:iam::{ACCOUNT}:user/user01 is not authorized to perform: ecr:ListImages on "
        f"resource: arn:aws:ecr:{REGION}:{ACCOUNT}:repository/mlops-training/user02 "
        "because no identity-based policy allows the ecr:ListImages action"
    )


def test_a_tenant_may_not_make_itself_more(stand: Running, tenants: dict[str, Keys]) -> None:
    iam = stand.client("iam", tenants["01"])
    assert denied(iam.create_access_key, UserName="user02").startswith("AccessDenied: User: arn:aws:iam::")
    assert "iam:PutUserPolicy" in denied(iam.put_user_policy, UserName="user01", PolicyName="more", PolicyDocument="{}")


def test_artifacts_travel_as_mlflow_sends_them(stand: Running, tenants: dict[str, Keys]) -> None:
    s3, bucket = stand.client("s3", tenants["01"]), "mlops-training-user01"
    data = bytes(range(256)) * 4096 * 12
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(data), bucket, "mlflow-artifacts/1/model.bin", Config=config)
    got = s3.get_object(Bucket=bucket, Key="mlflow-artifacts/1/model.bin")
    assert got["Body"].read() == data
    assert got["ETag"].endswith('-3"')
    back = io.BytesIO()
    s3.download_fileobj(bucket, "mlflow-artifacts/1/model.bin", back, Config=config)
    assert back.getvalue() == data


def test_policy_variables_name_the_caller(stand: Running) -> None:
    s3 = stand.client("s3")
    for name in ("variables-anna", "variables-ben"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::variables-${aws:username}*"}],
    }
    keys = tenant(stand, "anna", policy)
    stand.client("s3", keys).put_object(Bucket="variables-anna", Key="x", Body=b"1")
    assert denied(stand.client("s3", keys).put_object, Bucket="variables-ben", Key="x").startswith("AccessDenied")


def test_a_tenant_deletes_only_its_own(stand: Running, tenants: dict[str, Keys]) -> None:
    s3 = stand.client("s3", tenants["01"])
    s3.put_object(Bucket="mlops-training-user01", Key="mine", Body=b"1")
    assert (
        s3.delete_objects(Bucket="mlops-training-user01", Delete={"Objects": [{"Key": "mine"}]})["Deleted"][0]["Key"]
        == "mine"
    )
    answer = denied(
        s3.delete_objects, Bucket="mlops-training-user02", Delete={"Objects": [{"Key": "mlflow-artifacts/"}]}
    )
    assert answer.startswith("AccessDenied")
