"""The course's storage commands with the real aws CLI."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.awssim.running import ACCOUNT, REGION, Keys, Running, tenant, tenant_policy

pytestmark = [pytest.mark.aws, pytest.mark.skipif(not shutil.which("aws"), reason="no aws CLI on PATH")]


def aws(stand: Running, *arguments: str, keys: Keys | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["aws", *arguments], env=stand.environment(keys), capture_output=True, text=True, timeout=60, check=False
    )


def ok(stand: Running, *arguments: str, keys: Keys | None = None) -> str:
    done = aws(stand, *arguments, keys=keys)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bucket_from_making_it_to_its_settings(stand: Running, tmp_path: Path) -> None:
    bucket = "mlops-training-user91"
    assert ok(stand, "s3", "mb", f"s3://{bucket}") == f"make_bucket: {bucket}\n"
    ok(stand, "s3api", "put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
    ok(stand, "s3api", "put-object", "--bucket", bucket, "--key", "mlflow-artifacts/")
    file = tmp_path / "model.pkl"
    file.write_bytes(b"model" * 1000)
    ok(stand, "s3", "cp", str(file), f"s3://{bucket}/mlflow-artifacts/model.pkl")
    assert "model.pkl" in ok(stand, "s3", "ls", f"s3://{bucket}/mlflow-artifacts/")
    ok(stand, "s3", "cp", f"s3://{bucket}/mlflow-artifacts/model.pkl", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_ecr_and_caller_identity(stand: Running) -> None:
    made = json.loads(ok(stand, "ecr", "create-repository", "--repository-name", "mlops-user92-training"))
    assert made["repository"]["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mlops-user92-training"
    assert json.loads(ok(stand, "sts", "get-caller-identity"))["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_a_foreign_bucket_is_refused(stand: Running) -> None:
    keys = tenant(stand, "user93", tenant_policy("93"))
    stand.client("s3").create_bucket(Bucket="not-of-user93", CreateBucketConfiguration={"LocationConstraint": REGION})
    done = aws(stand, "s3", "ls", "s3://not-of-user93", keys=keys)
    assert done.returncode in (254, 255)
    assert (
        "An error occurred (AccessDenied) when calling the ListObjectsV2 operation: User: arn:aws:iam::" in done.stderr
    )
