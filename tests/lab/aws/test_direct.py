"""The checks' AWS calls without boto3's layers: answers and errors are boto3's, call by call."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lab.aws.clients import Clients, NoKeys
from lab.aws.direct import Service
from lab.aws.real import Real
from lab.checks.mlflow import UNWRITABLE
from lab.world import World
from tests.lab.push.accounts import with_accounts

OWN, OTHER = "mlops-training-user01", "mlops-training-user02"
REPOSITORY, FOREIGN = "mlops-training/user01/iris-api", "mlops-training/user02/iris-api"
KEYS = ("표본/가 나.csv", "a+b %2F.csv", "control-\x01.csv", "mlflow-artifacts/1/x")
_OF_ONE_ANSWER = {"ResponseMetadata", "RequestId", "HostId"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with with_accounts(tmp_path_factory.mktemp("direct")) as made:
        s3 = made.root("s3")
        for key in KEYS:
            s3.put_object(Bucket=OWN, Key=key, Body=b"1")
        yield made


@pytest.fixture
def boto(world: World) -> Clients:
    return world.aws_as(world.settings.one("01"))


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("sts", "get_caller_identity", {}),
    ("s3", "head_bucket", {"Bucket": OWN}),
    ("s3", "list_objects_v2", {"Bucket": OWN}),
    ("s3", "list_objects_v2", {"Bucket": OWN, "MaxKeys": 2, "Delimiter": "/"}),
    ("s3", "get_bucket_encryption", {"Bucket": OWN}),
    ("s3", "get_bucket_versioning", {"Bucket": OWN}),
    ("s3", "get_public_access_block", {"Bucket": OWN}),
    ("ecr", "describe_repositories", {"repositoryNames": [REPOSITORY]}),
    ("ecr", "describe_images", {"repositoryName": REPOSITORY}),
]
REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("s3", "head_bucket", {"Bucket": OTHER}),
    ("s3", "head_bucket", {"Bucket": "mlops-training-nobody"}),
    ("s3", "list_objects_v2", {"Bucket": OTHER, "MaxKeys": 1}),
    ("s3", "get_object", {"Bucket": OTHER, "Key": "mlflow-artifacts/"}),
    ("s3", "put_object", {"Bucket": OTHER, **UNWRITABLE}),
    ("s3", "put_object", {"Bucket": OWN, **UNWRITABLE}),
    ("ecr", "list_images", {"repositoryName": FOREIGN}),
    ("ecr", "describe_repositories", {"repositoryNames": ["nobody"]}),
]


def named(value: tuple[str, str, dict[str, Any]]) -> str:
    return re.sub(r"\W+", "-", f"{value[1]} {value[2].get('Bucket', value[2].get('repositoryName', ''))}").strip("-")


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_an_answer_is_boto3s(boto: Clients, call: tuple[str, str, dict[str, Any]]) -> None:
    service, operation, parameters = call
    asked: list[Callable[..., Any]] = [getattr(clients(service), operation) for clients in (boto, boto.direct())]
    expected, found = (without_ids(ask(**parameters)) for ask in asked)
    assert found == expected != {}


@pytest.mark.parametrize("call", REFUSED, ids=named)
def test_a_refusal_is_boto3s(boto: Clients, call: tuple[str, str, dict[str, Any]]) -> None:
    service, operation, parameters = call
    expected, found = (refusal(clients(service), operation, parameters) for clients in (boto, boto.direct()))
    assert found.operation_name == expected.operation_name
    assert without_ids(found.response["Error"]) == without_ids(expected.response["Error"])
    status = [error.response["ResponseMetadata"]["HTTPStatusCode"] for error in (expected, found)]
    assert status[0] == status[1] >= 400


def refusal(client: Any, operation: str, parameters: dict[str, Any]) -> ClientError:
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**parameters)
    return refused.value


def without_ids(answer: Any) -> dict[str, Any]:
    """But for what is of this very answer."""
    return {key: value for key, value in answer.items() if key not in _OF_ONE_ANSWER}


def test_every_page_is_read_and_no_name_is_lost(boto: Clients) -> None:
    pages = boto.direct()("s3").get_paginator("list_objects_v2").paginate(Bucket=OWN, PaginationConfig={"PageSize": 2})
    found = [item["Key"] for page in pages for item in page["Contents"]]
    assert set(KEYS) <= set(found)
    assert len(found) == len(set(found)) > 4


def test_whose_keys_sign_is_who_asks(world: World) -> None:
    """Users share connections, and nothing else."""
    who = [
        world.aws_as(world.settings.one(number)).direct()("sts").get_caller_identity()["Arn"] for number in ("01", "02")
    ]
    assert [arn.rpartition("/")[2] for arn in who] == ["user01", "user02"]


def test_wrong_keys_are_refused(world: World, boto: Clients) -> None:
    service = Service("sts", replace(boto.keys, secret="wrong"), region=boto.region, endpoint=world.aws.endpoint("sts"))
    assert refusal(service, "get_caller_identity", {}).response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_nobody_there(boto: Clients) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        service = Service("s3", boto.keys, region=boto.region, endpoint=endpoint)
        with pytest.raises(EndpointConnectionError, match=endpoint):
            service.head_bucket(Bucket=OWN)


def test_an_operation_that_does_not_exist(boto: Clients) -> None:
    with pytest.raises(AttributeError, match="head_bukket"):
        boto.direct()("s3").head_bukket(Bucket=OWN)


def test_aws_itself_is_asked_by_boto3(world: World, boto: Clients) -> None:
    clients = Clients(Real(world.settings), boto.keys, boto.region)
    assert clients.direct() is clients
    nobody = NoKeys(world.aws, "user01", boto.region)
    assert nobody.direct() is nobody
