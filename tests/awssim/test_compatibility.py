"""The same cases on the stand-in and, with ``LOCALSTACK_ENDPOINT=http://127.0.0.1:PORT``, on LocalStack 4.14: through ``localstack_client``."""

import base64
import datetime as dt
import hashlib
import io
import json
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from localstack_client.session import Session

from tests.awssim.running import REGION, Running

Client = Callable[[str], Any]
LOCALSTACK = os.environ.get("LOCALSTACK_ENDPOINT", "")
WHERE = [
    "awssim",
    pytest.param("localstack", marks=pytest.mark.skipif(not LOCALSTACK, reason="LOCALSTACK_ENDPOINT is not set")),
]


@pytest.fixture(params=WHERE)
def client(request: pytest.FixtureRequest, stand: Running) -> Iterator[Client]:
    """Clients as the lab makes them: keys, region and host passed to the Session."""
    here = request.param == "awssim"
    keys = (stand.root.access_key_id, stand.root.secret_access_key) if here else ("test", "test")
    host = urlsplit(stand.endpoint if here else LOCALSTACK).netloc
    session = Session(
        aws_access_key_id=keys[0], aws_secret_access_key=keys[1], region_name=REGION, localstack_host=host
    )
    clients: list[Any] = []

    def make(service: str) -> Any:
        endpoint = stand.endpoint if here else LOCALSTACK
        clients.append(session.client(service, endpoint_url=endpoint))
        return clients[-1]

    yield make
    for made in clients:
        made.close()


@pytest.fixture
def bucket(client: Client) -> str:
    name = f"compatible-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def whole_lists(request: pytest.FixtureRequest) -> None:
    """Where LocalStack is known to be wrong, and says so if that has ended: it leaves out names after a page that ends with one in Korean."""
    if request.node.callspec.params["client"] == "localstack":
        request.applymarker(
            pytest.mark.xfail(reason="LocalStack 4.14.0 loses names that are not ASCII between pages", strict=True)
        )


def test_a_buckets_settings(client: Client, bucket: str) -> None:
    s3 = client("s3")
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == REGION
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "course", "Value": "mlops"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "course", "Value": "mlops"}]


@pytest.mark.usefixtures("whole_lists")
def test_keys_of_all_kinds_in_pages_and_folders(client: Client, bucket: str) -> None:
    s3 = client("s3")
    names = sorted(["a/1", "a/2", "b/1", "ü/모델 1.pkl", "z+&?#"], key=str.encode)
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
    assert [item["Key"] for page in pages for item in page["Contents"]] == names
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [item["Prefix"] for item in folders["CommonPrefixes"]] == ["a/", "b/", "ü/"]
    assert [item["Key"] for item in folders["Contents"]] == ["z+&?#"]


def test_versions_and_delete_markers(client: Client, bucket: str) -> None:
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"22")
    assert s3.delete_object(Bucket=bucket, Key="k")["DeleteMarker"] is True
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="k")
    listed = s3.list_object_versions(Bucket=bucket)
    assert [item["Size"] for item in listed["Versions"]] == [2, 1]
    assert len(listed["DeleteMarkers"]) == 1
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"1"


def test_multipart_copy_and_presigned(client: Client, bucket: str) -> None:
    s3, data = client("s3"), os.urandom(1 << 20) * 9
    s3.upload_fileobj(io.BytesIO(data), bucket, "model", ExtraArgs={"Metadata": {"run": "1"}})
    head = s3.head_object(Bucket=bucket, Key="model")
    assert (head["ContentLength"], head["Metadata"], head["ETag"][-3:]) == (len(data), {"run": "1"}, '-2"')
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "model"})
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "copy"})
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.read() == data


def test_users_and_who_one_is(client: Client) -> None:
    iam, name = client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    made = iam.create_user(UserName=name)["User"]
    assert made["Arn"].endswith(f":user/{name}")
    assert len(iam.create_access_key(UserName=name)["AccessKey"]["SecretAccessKey"]) >= 30
    assert client("sts").get_caller_identity()["Arn"].endswith(":root")


def test_what_is_not_there_has_awss_own_code(client: Client, bucket: str) -> None:
    s3 = client("s3")
    calls: dict[str, Callable[[], object]] = {
        "NoSuchBucket": lambda: s3.list_objects_v2(Bucket=f"{bucket}-not"),
        "NoSuchKey": lambda: s3.get_object(Bucket=bucket, Key="nothing"),
        "404": lambda: s3.head_object(Bucket=bucket, Key="nothing"),
        "NoSuchUpload": lambda: s3.upload_part(Bucket=bucket, Key="k", UploadId="none", PartNumber=1, Body=b"x"),
        "NoSuchLifecycleConfiguration": lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket),
        "NoSuchCORSConfiguration": lambda: s3.get_bucket_cors(Bucket=bucket),
        "NoSuchTagSet": lambda: s3.get_bucket_tagging(Bucket=bucket),
        "NoSuchBucketPolicy": lambda: s3.get_bucket_policy(Bucket=bucket),
        "BucketAlreadyOwnedByYou": lambda: s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        ),
        "InvalidBucketName": lambda: s3.create_bucket(
            Bucket="Not_A_Name", CreateBucketConfiguration={"LocationConstraint": REGION}
        ),
    }
    for code, call in calls.items():
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code


def test_a_bucket_that_is_not_empty_stays(client: Client, bucket: str) -> None:
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}, {"Key": "never"}]})
    assert sorted(item["Key"] for item in gone["Deleted"]) == ["k", "never"]
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket)


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-3", b"0123", "0-3"),
        ("bytes=-2", b"89", "8-9"),
        ("bytes=7-", b"789", "7-9"),
        ("bytes=5-99", b"56789", "5-9"),
    ],
)
def test_ranges(client: Client, bucket: str, asked: str, content: bytes, told: str) -> None:
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert got["Body"].read() == content
    assert (got["ContentRange"], got["ContentLength"], got["AcceptRanges"]) == (
        f"bytes {told}/10",
        len(content),
        "bytes",
    )
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_beyond_the_end_is_refused(client: Client, bucket: str) -> None:
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with pytest.raises(ClientError, match="InvalidRange"):
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")


def test_conditions(client: Client, bucket: str) -> None:
    s3 = client("s3")
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)["Body"].read() == b"1"
    with pytest.raises(ClientError, match="304"):
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"00000000000000000000000000000000"')
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")


def test_what_is_said_of_an_object(client: Client, bucket: str) -> None:
    s3 = client("s3")
    about = {
        "ContentType": "text/csv",
        "CacheControl": "no-cache",
        "ContentDisposition": "inline",
        "Metadata": {"run": "7"},
    }
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"a,b", Tagging="stage=prod", ChecksumAlgorithm="SHA256", **about)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert {name: head[name] for name in about} == about
    assert head["ETag"] == put["ETag"] == f'"{hashlib.md5(b"a,b").hexdigest()}"'
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"a,b").digest()).decode()
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "stage", "Value": "prod"}]
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE", Metadata={"run": "8"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"run": "8"}


def test_a_wrong_checksum_is_refused(client: Client, bucket: str) -> None:
    s3 = client("s3")
    wrong = base64.b64encode(bytes(32)).decode()
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"1", ChecksumSHA256=wrong)
    assert refused.value.response["Error"]["Code"] in ("BadDigest", "InvalidRequest")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="k")


def test_cors_for_a_browser(client: Client, bucket: str) -> None:
    s3 = client("s3")
    rule = {"AllowedOrigins": ["http://localhost:8080"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
    address = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    asked = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "PUT"}
    with urllib.request.urlopen(urllib.request.Request(address, method="OPTIONS", headers=asked), timeout=20) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] in ("http://localhost:8080", "*")
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    foreign = urllib.request.Request(address, method="OPTIONS", headers={**asked, "Origin": "http://elsewhere"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(foreign, timeout=20)
    refused.value.close()
    assert refused.value.code == 403


def test_lifecycle_rules_come_back_as_they_were_put(client: Client, bucket: str) -> None:
    s3 = client("s3")
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 7}},
        {
            "ID": "parts",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_a_new_bucket_is_closed_to_the_public(client: Client, bucket: str) -> None:
    block = client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )


def test_parts_listed_and_given_up(client: Client, bucket: str) -> None:
    s3 = client("s3")
    upload = {
        "Bucket": bucket,
        "Key": "big",
        "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"],
    }
    for number in (2, 1):
        s3.upload_part(**upload, PartNumber=number, Body=b"x" * (5 << 20))
    assert [part["PartNumber"] for part in s3.list_parts(**upload)["Parts"]] == [1, 2]
    assert [item["Key"] for item in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["big"]
    with pytest.raises(ClientError, match="InvalidPart"):
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0"'}]})
    s3.abort_multipart_upload(**upload)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.list_parts(**upload)


def test_versions_come_back_and_go_for_good(client: Client, bucket: str) -> None:
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=first)
    with pytest.raises(ClientError, match="NoSuchVersion"):
        s3.get_object(Bucket=bucket, Key="k", VersionId=first)
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


@pytest.mark.usefixtures("whole_lists")
def test_more_than_a_page_of_names_in_korean(client: Client, bucket: str) -> None:
    s3, names = client("s3"), [f"데이터/모델-{number:04}.pkl" for number in range(1, 1101)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: s3.put_object(Bucket=bucket, Key=name, Body=b""), names))
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    assert [len(page["Contents"]) for page in pages] == [1000, 100]
    assert [item["Key"] for page in pages for item in page["Contents"]] == names


def test_a_role_assumed(client: Client) -> None:
    iam, name = client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]
    iam.create_user(UserName=name)  # AWS lets nobody assume a role as root
    every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="assume", PolicyDocument=json.dumps(every))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    sts = boto3.client("sts", endpoint_url=iam.meta.endpoint_url, region_name=REGION, **keys)
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="class", DurationSeconds=900)
    sts.close()
    assert assumed["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/{name}/class")
    left = assumed["Credentials"]["Expiration"] - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=5) < left <= dt.timedelta(minutes=15)
    assert assumed["Credentials"]["SessionToken"]


def test_policies_attached_and_what_is_not_there_in_iam(client: Client) -> None:
    iam, name = client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    assert [item["PolicyArn"] for item in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]] == [arn]
    kept = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert kept == document
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_user(UserName=name)
    with pytest.raises(ClientError, match="DeleteConflict"):
        iam.delete_user(UserName=name)
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    iam.delete_user(UserName=name)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_user(UserName=name)
