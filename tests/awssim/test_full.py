"""A disk that is really full: every caller gets an error, nothing that was acknowledged is lost, and with room again all works again."""

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.awssim.images import Client, image
from tests.awssim.running import REGION, running


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def status_of(caught: pytest.ExceptionInfo[ClientError]) -> int:
    return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])


def filled(s3: Any) -> dict[str, bytes]:
    """Put objects until the disk is full; what was acknowledged."""
    known: dict[str, bytes] = {}
    for size in (3 << 20, 300_000, 20_000, 500):
        for _ in range(100):
            key, body = f"k{len(known)}", os.urandom(size)
            try:
                s3.put_object(Bucket="full", Key=key, Body=body)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                    raise
                break
            known[key] = hashlib.sha256(body).digest()
    return known


def fill_to_the_end(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass


def held(s3: Any) -> dict[str, bytes]:
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="full").get("Contents", [])]
    return {key: hashlib.sha256(s3.get_object(Bucket="full", Key=key)["Body"].read()).digest() for key in keys}


def test_a_full_disk(disk: Path) -> None:
    with running(disk / "state") as stand:
        s3, ecr, iam = stand.client("s3"), stand.client("ecr"), stand.client("iam")
        s3.create_bucket(Bucket="full", CreateBucketConfiguration={"LocationConstraint": REGION})
        ecr.create_repository(repositoryName="full")
        iam.create_user(UserName="before")
        upload = s3.create_multipart_upload(Bucket="full", Key="parts")["UploadId"]
        with Client(stand) as registry:
            known = filled(s3)
            fill_to_the_end(disk / "rest")
            with pytest.raises(ClientError) as caught:
                s3.upload_part(Bucket="full", Key="parts", UploadId=upload, PartNumber=1, Body=os.urandom(6 << 20))
            assert status_of(caught) == 503
            with pytest.raises(ClientError) as caught:
                iam.create_user(UserName="during")
            assert status_of(caught) == 503
            made = image({"file": os.urandom(600_000)})
            assert registry.post("/v2/full/blobs/uploads/").status_code == 503
            with pytest.raises(ClientError) as caught:
                s3.put_object(Bucket="full", Key="k0", Body=b"instead")
            assert status_of(caught) == 503
            assert held(s3) == known
            (disk / "rest").unlink()
            for key in list(known)[:3]:
                s3.delete_object(Bucket="full", Key=key)
                del known[key]
            assert registry.push("full", made, "v1").status_code == 201
        s3.put_object(Bucket="full", Key="after", Body=b"1")
        known["after"] = hashlib.sha256(b"1").digest()
        iam.create_user(UserName="after")
        stand.kill()
    with running(disk / "state") as stand:
        assert held(stand.client("s3")) == known
        users = [user["UserName"] for user in stand.client("iam").list_users()["Users"]]
        assert {"before", "after"} <= set(users)
        assert not list((stand.state / "s3" / "staging").iterdir())
