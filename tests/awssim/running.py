"""A real stand-in process on a free port, and clients for it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "ap-northeast-2"
ACCOUNT = "123456789012"


@dataclass(frozen=True, kw_only=True)
class Keys:
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


@dataclass
class Running:
    process: subprocess.Popen[str]
    endpoint: str
    state: Path

    @property
    def root(self) -> Keys:
        key = json.loads((self.state / "root.json").read_text())
        return Keys(access_key_id=key["access_key_id"], secret_access_key=key["secret_access_key"])

    def client(self, service: str, keys: Keys | None = None, **config: Any) -> Any:
        keys = keys or self.root
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
            config=Config(retries={"max_attempts": 1}, **config),
        )

    def environment(self, keys: Keys | None = None) -> dict[str, str]:
        keys = keys or self.root
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_PAGER": "",
        }

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def start(state: Path, *arguments: str) -> Running:
    """Start a stand-in and wait until it listens."""
    command = [sys.executable, "-m", "awssim", "serve", "--state", str(state), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("awssim listens on "), f"it did not start: {line!r}"
    return Running(process, line.split()[-1], state)


@contextlib.contextmanager
def running(state: Path, *arguments: str) -> Iterator[Running]:
    stand = start(state, *arguments)
    try:
        yield stand
    finally:
        stand.stop()
        assert stand.process.stdout
        stand.process.stdout.close()


def tenant(stand: Running, user: str, policy: dict[str, Any]) -> Keys:
    """An IAM user with an inline policy and an access key."""
    iam = stand.client("iam")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="tenant", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return Keys(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


def tenant_policy(number: str) -> dict[str, Any]:
    """What the course's guide gives a tenant: its own bucket and repositories."""
    bucket, repository = f"arn:aws:s3:::mlops-training-user{number}", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": bucket},
            {"Effect": "Allow", "Action": objects, "Resource": f"{bucket}/*"},
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {"Effect": "Allow", "Action": "ecr:*", "Resource": [f"{repository}/mlops-training/user{number}*"]},
        ],
    }
