"""Uploads in parts: completed without copying where the parts lie side by side, and right in every other case."""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from awssim.slots import Slots
from tests.awssim.running import REGION, Running, running

PART = 5 << 20
BODIES = {number: bytes([number]) * PART for number in range(1, 5)} | {5: b"last" * 1000}


@pytest.fixture(scope="module")
def s3(stand: Running) -> Any:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket="in-parts", CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


class Upload:
    """One upload under way, and what its object should be."""

    def __init__(self, s3: Any, key: str) -> None:
        self.s3, self.key, self.etags = s3, key, dict[int, str]()
        self.upload_id = s3.create_multipart_upload(Bucket="in-parts", Key=key)["UploadId"]

    def part(self, number: int, body: bytes) -> None:
        put = {"Bucket": "in-parts", "Key": self.key, "UploadId": self.upload_id, "PartNumber": number}
        self.etags[number] = self.s3.upload_part(**put, Body=body)["ETag"]

    def complete(self, numbers: Sequence[int]) -> bytes:
        parts = [{"PartNumber": number, "ETag": self.etags[number]} for number in numbers]
        self.s3.complete_multipart_upload(
            Bucket="in-parts", Key=self.key, UploadId=self.upload_id, MultipartUpload={"Parts": parts}
        )
        return bytes(self.s3.get_object(Bucket="in-parts", Key=self.key)["Body"].read())


@pytest.mark.parametrize("order", [[1, 2, 3, 4, 5], [3, 1, 5, 4, 2], [5, 4, 3, 2, 1]])
def test_parts_in_any_order(s3: Any, order: list[int]) -> None:
    upload = Upload(s3, f"order-{order[0]}")
    for number in order:
        upload.part(number, BODIES[number])
    assert upload.complete(sorted(order)) == b"".join(BODIES[number] for number in sorted(order))


def test_a_completed_upload_is_the_file_its_parts_were_written_to(s3: Any, stand: Running) -> None:
    upload = Upload(s3, "linked")
    for number in (1, 2):
        upload.part(number, BODIES[number])
    inode = (stand.state / "s3" / "uploads" / upload.upload_id / "whole").stat().st_ino
    upload.complete([1, 2])
    (data,) = (stand.state / "s3" / "data").glob("*/in-parts/linked")
    assert (data.stat().st_ino, data.stat().st_size) == (inode, 2 * PART)


def test_a_part_sent_again_counts_as_it_came_last(s3: Any) -> None:
    upload = Upload(s3, "again")
    for number in (1, 2, 3):
        upload.part(number, BODIES[number])
    upload.part(2, b"second time" * 500_000)
    assert upload.complete([1, 2, 3]) == BODIES[1] + b"second time" * 500_000 + BODIES[3]


def test_only_the_named_parts_and_none_of_a_gap(s3: Any) -> None:
    upload = Upload(s3, "named")
    for number in (1, 2, 3, 4):
        upload.part(number, BODIES[number])
    assert upload.complete([1, 3]) == BODIES[1] + BODIES[3]
    gap = Upload(s3, "gap")
    for number in (2, 7):
        gap.part(number, BODIES[3])
    assert gap.complete([2, 7]) == BODIES[3] * 2


def test_parts_of_all_lengths(s3: Any) -> None:
    generator = random.Random(1)
    bodies = [generator.randbytes(PART + generator.randrange(1 << 20)) for _ in range(4)] + [b"x"]
    upload = Upload(s3, "lengths")
    for number, body in enumerate(bodies, 1):
        upload.part(number, body)
    assert upload.complete(range(1, 6)) == b"".join(bodies)


def test_a_refused_part_leaves_its_place_free(s3: Any) -> None:
    upload = Upload(s3, "refused")
    upload.part(1, BODIES[1])
    put = {"Bucket": "in-parts", "Key": "refused", "UploadId": upload.upload_id, "PartNumber": 2}
    with pytest.raises(ClientError, match="BadDigest"):
        s3.upload_part(**put, Body=BODIES[4], ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    upload.part(2, BODIES[2])
    assert upload.complete([1, 2]) == BODIES[1] + BODIES[2]


def test_a_refused_completion_may_be_mended(s3: Any) -> None:
    upload = Upload(s3, "mended")
    upload.part(1, BODIES[1])
    upload.part(2, b"too small" * 50_000)
    right, upload.etags[1] = upload.etags[1], '"00000000000000000000000000000000"'
    with pytest.raises(ClientError, match="InvalidPart"):
        upload.complete([1, 2])
    upload.etags[1] = right
    with pytest.raises(ClientError, match="InvalidPartOrder"):
        upload.complete([2, 1])
    upload.part(3, b"more")
    with pytest.raises(ClientError, match="EntityTooSmall"):
        upload.complete([1, 2, 3])
    upload.part(2, BODIES[2])
    assert upload.complete([1, 2, 3]) == BODIES[1] + BODIES[2] + b"more"


def test_after_a_restart_an_upload_goes_on_beside_what_there_was(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        s3.create_bucket(Bucket="in-parts", CreateBucketConfiguration={"LocationConstraint": REGION})
        upload = Upload(s3, "restarted")
        for number in (1, 2):
            upload.part(number, BODIES[number])
        stand.kill()
    with running(tmp_path / "state") as stand:
        upload.s3 = stand.client("s3")
        upload.part(3, BODIES[3])
        digest = hashlib.sha256(upload.complete([1, 2, 3])).digest()
    assert digest == hashlib.sha256(BODIES[1] + BODIES[2] + BODIES[3]).digest()


def test_while_a_part_is_written_the_file_is_not_the_object(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "whole")
    slots.path.write_bytes(b"0123456789")
    with slots.place(1, 10) as first, slots.place(1, 10) as same:
        assert first
        assert same is None
        assert not slots.seal(10)
    assert not slots.seal(9)
    assert slots.seal(10)
    with slots.place(2, 10) as late:
        assert late is None
