"""The same cases on the stand-in and, with ``LOCALSTACK_ENDPOINT=http://127.0.0.1:PORT``, on LocalStack 4.14: through ``localstack_client``."""

import io
import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
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
