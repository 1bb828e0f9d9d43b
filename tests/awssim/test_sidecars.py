"""What a start reads: the index where it is right, the sidecar where it is not, and a damaged one is kept and named."""

import datetime as dt
import json
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from awssim.files import write_atomically
from awssim.sidecars import SUFFIX, Sidecars
from tests.awssim.running import REGION, Running, running

NAMES = [f"folder {number % 7}/한글\t{number}" for number in range(300)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in NAMES:
        put(tmp_path / "data", name, {"etag": name})
    return tmp_path / "data"


def put(data: Path, name: str, sidecar: dict[str, str]) -> None:
    path = data / "123456789012" / "bucket" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1")
    write_atomically(path.with_name(path.name + SUFFIX), json.dumps(sidecar).encode())


def opened(data: Path) -> Sidecars:
    return Sidecars(data, data.parent / "index.sqlite", data.parent / "damaged")


def etags(sidecars: Sidecars) -> dict[str, str | None]:
    return {found.path.split("/", 2)[2]: meta.get("etag") for found, meta in sidecars.all()}


def test_only_what_changed_is_read(data: Path) -> None:
    expected: dict[str, str | None] = {name: name for name in NAMES}
    first = opened(data)
    assert (etags(first), first.read) == (expected, 300)
    assert first.refresh() == 300
    second = opened(data)
    assert (etags(second), second.read) == (expected, 0)
    put(data, NAMES[5], {"etag": "changed"})
    put(data, "new", {"etag": "new"})
    for suffix in ("", SUFFIX):
        (data / "123456789012" / "bucket" / f"{NAMES[6]}{suffix}").unlink()
    expected |= {NAMES[5]: "changed", "new": "new"}
    del expected[NAMES[6]]
    third = opened(data)
    assert (etags(third), third.read) == (expected, 2)
    assert third.refresh() == 3
    assert third.refresh() == 0


def test_a_damaged_index_is_made_again(data: Path) -> None:
    opened(data).refresh()
    index = data.parent / "index.sqlite"
    text = index.read_bytes()
    index.write_bytes(text[:100] + b"\xff" * 5000 + text[5100:])
    assert etags(opened(data)) == {name: name for name in NAMES}
    opened(data).refresh()
    again = opened(data)
    assert (len(etags(again)), again.read) == (300, 0)


def test_what_a_killed_process_was_writing_is_removed(data: Path) -> None:
    rubbish = data / "123456789012" / "bucket" / ".k.meta.json.0a1b.tmp"
    rubbish.write_bytes(b"{")
    assert len(etags(opened(data))) == 300
    assert not rubbish.exists()


def damaged(stand: Running) -> list[str]:
    with urllib.request.urlopen(f"{stand.endpoint}/_awssim/health", timeout=5) as answer:
        return list(json.load(answer)["damaged"])


def test_a_damaged_sidecar_is_kept_and_named_and_its_object_served(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        s3.create_bucket(Bucket="hurt", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="hurt", Key="k", Body=b"content", Metadata={"a": "b"})
        stand.kill()
    (sidecar,) = (tmp_path / "state" / "s3" / "data").glob("*/hurt/k.meta.json")
    text = sidecar.read_bytes()[:-30]
    sidecar.write_bytes(text)
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        got = s3.get_object(Bucket="hurt", Key="k")
        assert (got["Body"].read(), got["ETag"]) == (b"content", '"9a0364b9e99bb480dd25e1f0284c8555"')
        s3.put_object(Bucket="hurt", Key="k", Body=b"new")
        (aside,) = damaged(stand)
        assert Path(aside).read_bytes() == text
    with running(tmp_path / "state") as stand:
        assert damaged(stand) == [aside]


def test_what_is_locked_stays_locked_after_a_restart(tmp_path: Path) -> None:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        s3.create_bucket(
            Bucket="locked", CreateBucketConfiguration={"LocationConstraint": REGION}, ObjectLockEnabledForBucket=True
        )
        kept = s3.put_object(Bucket="locked", Key="k", Body=b"1")["VersionId"]
        s3.put_object_retention(
            Bucket="locked", Key="k", VersionId=kept, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
        )
        held = s3.put_object(Bucket="locked", Key="held", Body=b"1", ObjectLockLegalHoldStatus="ON")["VersionId"]
        stand.kill()
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        for key, version in (("k", kept), ("held", held)):
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.delete_object(Bucket="locked", Key=key, VersionId=version)
        assert s3.get_object_retention(Bucket="locked", Key="k")["Retention"]["Mode"] == "COMPLIANCE"
        s3.put_object_legal_hold(Bucket="locked", Key="held", VersionId=held, LegalHold={"Status": "OFF"})
        s3.delete_object(Bucket="locked", Key="held", VersionId=held)


def test_the_sizes_of_parts_are_known_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        s3.create_bucket(Bucket="parts", CreateBucketConfiguration={"LocationConstraint": REGION})
        upload = s3.create_multipart_upload(Bucket="parts", Key="k")["UploadId"]
        named = []
        for number, body in ((1, b"1" * (5 << 20)), (2, b"end")):
            etag = s3.upload_part(Bucket="parts", Key="k", UploadId=upload, PartNumber=number, Body=body)["ETag"]
            named.append({"PartNumber": number, "ETag": etag})
        s3.complete_multipart_upload(Bucket="parts", Key="k", UploadId=upload, MultipartUpload={"Parts": named})
        stand.kill()
    with running(tmp_path / "state") as stand:
        second = stand.client("s3").get_object(Bucket="parts", Key="k", PartNumber=2)
        assert (second["Body"].read(), second["PartsCount"]) == (b"end", 2)
