"""Requests that no client sends: each is refused as AWS refuses it, and none is an error of the program's own."""

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from awssim import grammar
from awssim.overrides.listing import page
from tests.awssim.running import REGION, Running

ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Tagging>&b;</Tagging>'
DEEP = b"[" * 100_000 + b"]" * 100_000


def call(
    stand: Running, service: str, path: str, body: bytes, *, method: str = "POST", **headers: str
) -> tuple[int, str]:
    """A signed request, whatever is in it."""
    request = AWSRequest(
        method=method,
        url=stand.endpoint + path,
        data=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    credentials = Credentials(stand.root.access_key_id, stand.root.secret_access_key)
    signer(credentials, service, REGION).add_auth(request)
    connection = http.client.HTTPConnection(stand.endpoint.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("DescribeRepositories", DEEP),
        ("DescribeRepositories", b'{"repositoryNames":' + DEEP + b"}"),
        ("DescribeRepositories", b'{"repositoryNames":[' + b"[" * 900 + b"]" * 900 + b"]}"),
        ("DescribeRepositories", b'{"repositoryNames": 5}'),
        ("DescribeRepositories", b'{"nextToken": 5}'),
        ("DescribeImages", b'{"repositoryName": "aa", "imageIds": [5]}'),
        ("BatchGetImage", b'{"repositoryName": "aa", "imageIds": "x"}'),
        ("CreateRepository", b'{"repositoryName": {}}'),
        ("CreateRepository", b'{"repositoryName": "aa", "imageScanningConfiguration": {"scanOnPush": "yes"}}'),
    ],
)
def test_json_that_is_not_the_calls(stand: Running, operation: str, body: bytes) -> None:
    target = f"AmazonEC2ContainerRegistry_V20150921.{operation}"
    status, text = call(stand, "ecr", "/", body, x_amz_target=target, content_type="application/x-amz-json-1.1")
    assert (status, json.loads(text)["__type"]) == (400, "SerializationException")


def test_json_that_is_the_calls_fits() -> None:
    images: dict[str, Any] = {"repositoryName": "aa", "imageIds": [{"imageTag": "1"}, {"imageDigest": None}], "x": 5}
    assert grammar.misfit("ecr", "DescribeImages", images) == ""
    assert grammar.misfit("ecr", "NoSuchOperation", {"any": "thing"}) == ""
    assert (
        grammar.misfit("ecr", "DescribeImages", {"maxResults": True}) == "BOOLEAN_VALUE can not be converted to Integer"
    )


def test_a_policy_nested_too_deeply(stand: Running) -> None:
    iam = stand.client("iam")
    makes: list[Callable[[], object]] = [
        lambda: iam.create_policy(PolicyName="deep", PolicyDocument="[" * 3000),
        lambda: iam.create_role(RoleName="deep", AssumeRolePolicyDocument="[" * 3000),
    ]
    for make in makes:
        with pytest.raises(ClientError, match="MalformedPolicyDocument"):
            make()


def test_xml_with_entities_is_malformed(stand: Running) -> None:
    stand.client("s3").create_bucket(Bucket="odd-xml", CreateBucketConfiguration={"LocationConstraint": REGION})
    for setting in ("tagging", "cors", "lifecycle", "publicAccessBlock"):
        status, text = call(stand, "s3", f"/odd-xml?{setting}", ENTITIES, method="PUT")
        assert (status, "<Code>MalformedXML</Code>" in text) == (400, True), text


def test_numbers_that_are_none(stand: Running) -> None:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket="odd-numbers", CreateBucketConfiguration={"LocationConstraint": REGION})
    for question in ("list-type=2&max-keys=x", "max-keys=-1", "uploads&max-uploads=x", "versions&max-keys=99999999999"):
        status, text = call(stand, "s3", f"/odd-numbers?{question}", b"", method="GET")
        assert (status, "<Code>InvalidArgument</Code>" in text) == (400, True), text
    upload = s3.create_multipart_upload(Bucket="odd-numbers", Key="k")["UploadId"]
    status, text = call(
        stand, "s3", f"/odd-numbers/k?uploadId={upload}&partNumber=%C2%B2", bytes(300_000), method="PUT"
    )
    assert status == 400, text


def test_folders_by_the_last_character_there_is() -> None:
    last = chr(0x10FFFF)
    keys = sorted(["a", f"a{last}b", f"a{last}c", f"{last}d", "b"])
    assert page(keys, "", last, 10, "") == (["a", "b"], [f"a{last}", last], False, last)


def test_a_head_without_an_end_is_cut_off(stand: Running) -> None:
    port = int(stand.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
        answer = b""
        try:
            for _ in range(100):
                connection.sendall(b"a" * 65536)
            answer = connection.recv(1000)
        except OSError:
            return  # closed while this side was still sending
        assert answer.startswith(b"HTTP/1.1 400 ")
