"""The course's storage commands with the real aws CLI, version 1 and, where there is one, version 2."""

import functools
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.awssim.running import ACCOUNT, REGION, Keys, Running, tenant, tenant_policy

pytestmark = [
    pytest.mark.aws,
    pytest.mark.skipif(not shutil.which("aws"), reason="no aws CLI on PATH"),
    # A test is fifteen programs of one to two seconds' processor time each: minutes on a machine with much else to do.
    pytest.mark.timeout(900),
]
Cli = Callable[..., subprocess.CompletedProcess[str]]


@functools.cache
def program(version: int) -> str:
    """An aws CLI of this version; pip has only version 1, Debian's package ``awscli`` is version 2."""
    for path in filter(None, [os.environ.get("AWS_CLI_V2"), shutil.which("aws"), shutil.which("aws", path="/usr/bin")]):
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if f"aws-cli/{version}." in shown.stdout:
            return path
    return ""


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.exhaustive)], ids=["version 1", "version 2"])
def cli(request: pytest.FixtureRequest, stand: Running) -> Cli:
    path = program(request.param)
    if not path:
        pytest.skip(f"no aws CLI of version {request.param}")

    def run(*arguments: str, keys: Keys | None = None) -> subprocess.CompletedProcess[str]:
        # Version 2.9 does not read AWS_ENDPOINT_URL yet, 2.13 does.
        command = [path, "--endpoint-url", stand.endpoint, *arguments]
        environment = stand.environment(keys) | ({"PATH": "/usr/bin:/bin"} if request.param == 2 else {})
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run


def ok(cli: Cli, *arguments: str, keys: Keys | None = None) -> str:
    done = cli(*arguments, keys=keys)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(cli: Cli, *arguments: str, keys: Keys | None = None) -> Any:
    return json.loads(ok(cli, *arguments, keys=keys) or "null")


def name_of(request: pytest.FixtureRequest, number: int) -> str:
    return str(number + (1 if "version 2" in request.node.name else 0))


def test_a_bucket_from_making_it_to_its_settings(cli: Cli, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    bucket = f"mlops-training-user{name_of(request, 91)}"
    at, api = ["--bucket", bucket], ["s3api"]
    assert ok(cli, "s3", "mb", f"s3://{bucket}") == f"make_bucket: {bucket}\n"
    ok(cli, *api, "put-bucket-versioning", *at, "--versioning-configuration", "Status=Enabled")
    rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    ok(cli, *api, "put-bucket-encryption", *at, "--server-side-encryption-configuration", json.dumps(rule))
    block = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
    ok(cli, *api, "put-public-access-block", *at, "--public-access-block-configuration", block)
    own = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    ok(cli, *api, "put-bucket-policy", *at, "--policy", json.dumps({"Version": "2012-10-17", "Statement": [own]}))
    assert said(cli, *api, "get-bucket-versioning", *at) == {"Status": "Enabled"}
    assert said(cli, *api, "get-bucket-location", *at) == {"LocationConstraint": REGION}
    ok(cli, *api, "put-object", *at, "--key", "mlflow-artifacts/")
    file = tmp_path / "model.pkl"
    file.write_bytes(b"model" * 2_000_000)
    ok(cli, "s3", "cp", str(file), f"s3://{bucket}/mlflow-artifacts/모델.pkl")
    assert "모델.pkl" in ok(cli, "s3", "ls", f"s3://{bucket}/mlflow-artifacts/")
    ok(cli, "s3", "sync", f"s3://{bucket}/mlflow-artifacts/", str(tmp_path / "back"))
    assert (tmp_path / "back" / "모델.pkl").read_bytes() == file.read_bytes()
    address = ok(cli, "s3", "presign", f"s3://{bucket}/mlflow-artifacts/모델.pkl").strip()
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.read() == file.read_bytes()
    ok(cli, "s3", "rm", "--recursive", f"s3://{bucket}")
    left = cli("s3", "rb", f"s3://{bucket}")
    assert "BucketNotEmpty" in left.stderr, "its versions are still there"


def test_ecr_and_caller_identity(cli: Cli, request: pytest.FixtureRequest) -> None:
    name = f"mlops-user{name_of(request, 94)}-training"
    made = said(cli, "ecr", "create-repository", "--repository-name", name)
    assert made["repository"]["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}"
    scan = ["ecr", "put-image-scanning-configuration", "--repository-name", name]
    assert said(cli, *scan, "--image-scanning-configuration", "scanOnPush=true")["imageScanningConfiguration"] == {
        "scanOnPush": True
    }
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7}
    rules = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    ok(cli, "ecr", "put-lifecycle-policy", "--repository-name", name, "--lifecycle-policy-text", rules)
    (told,) = said(cli, "ecr", "describe-repositories", "--repository-names", name)["repositories"]
    assert {**told, "createdAt": 0} == {
        **made["repository"],
        "createdAt": 0,
        "imageScanningConfiguration": {"scanOnPush": True},
    }
    again = cli("ecr", "create-repository", "--repository-name", name)
    assert again.returncode in (254, 255)
    assert (
        f"(RepositoryAlreadyExistsException) when calling the CreateRepository operation: The repository with name '{name}' "
        f"already exists in the registry with id '{ACCOUNT}'"
    ) in again.stderr
    assert len(ok(cli, "ecr", "get-login-password").strip()) > 100
    assert said(cli, "sts", "get-caller-identity")["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert said(cli, "eks", "list-clusters") == {"clusters": ["mlops-training-cluster"]}


def test_a_foreign_bucket_is_refused(cli: Cli, stand: Running, request: pytest.FixtureRequest) -> None:
    number = name_of(request, 96)
    keys = tenant(stand, f"user{number}", tenant_policy(number))
    bucket = f"not-of-user{number}"
    stand.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    done = cli("s3", "ls", f"s3://{bucket}", keys=keys)
    assert done.returncode in (254, 255)
    assert (
        "An error occurred (AccessDenied) when calling the ListObjectsV2 operation: User: arn:aws:iam::" in done.stderr
    )
    wrong = Keys(access_key_id=keys.access_key_id, secret_access_key="wrong")
    done = cli("sts", "get-caller-identity", keys=wrong)
    assert "An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation" in done.stderr
