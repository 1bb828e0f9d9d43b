"""S3 objects: streamed, ranged, versioned, multipart, checksummed; whole or not at all."""

import base64
import hashlib
import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from awssim import crc
from awssim.blobs import new_hash
from awssim.journal import Journal
from tests.awssim.running import REGION, Running, running, tenant, tenant_policy

BIG = hashlib.sha256(b"big").digest() * (20 << 15)  # 20 MB


def bucket_of(stand: Running, name: str, *, versions: bool = False) -> Any:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versions:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return s3


def read(s3: Any, bucket: str, key: str, **more: Any) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read())


def test_a_large_object_comes_back_whole_and_in_ranges(stand: Running) -> None:
    s3 = bucket_of(stand, "large")
    put = s3.put_object(Bucket="large", Key="big", Body=BIG)
    assert put["ETag"] == f'"{hashlib.md5(BIG).hexdigest()}"'
    assert read(s3, "large", "big") == BIG
    assert read(s3, "large", "big", Range="bytes=1000000-3000000") == BIG[1000000:3000001]
    assert read(s3, "large", "big", Range="bytes=-5") == BIG[-5:]
    s3.copy_object(Bucket="large", Key="copy", CopySource="large/big")
    s3.delete_object(Bucket="large", Key="big")
    assert read(s3, "large", "copy") == BIG


def test_versions_are_each_readable_and_in_ranges(stand: Running) -> None:
    s3 = bucket_of(stand, "versions", versions=True)
    bodies = [bytes([n]) * 300_000 for n in range(3)] + [b"small"]
    made = [s3.put_object(Bucket="versions", Key="k", Body=body)["VersionId"] for body in bodies]
    for version, body in zip(made, bodies, strict=True):
        assert read(s3, "versions", "k", VersionId=version) == body
        assert read(s3, "versions", "k", VersionId=version, Range="bytes=1-3") == body[1:4]
    s3.delete_object(Bucket="versions", Key="k", VersionId=made[-1])
    assert read(s3, "versions", "k") == bodies[2]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_compared_with_what_arrived(stand: Running, algorithm: str) -> None:
    s3 = bucket_of(stand, f"checksums-{algorithm.lower()}")
    hasher = new_hash(algorithm)
    assert hasher
    hasher.update(BIG[:2_000_000])
    value = base64.b64encode(hasher.digest()).decode()
    put = {"Bucket": f"checksums-{algorithm.lower()}", "Key": "k", "Body": BIG[:2_000_000]}
    s3.put_object(**put, **{f"Checksum{algorithm}": value})
    wrong = base64.b64encode(bytes(len(hasher.digest()))).decode()
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(**put, **{f"Checksum{algorithm}": wrong})


CRCS = [crc.crc32, crc.crc32c, crc.crc64nvme, crc.Zlib, lambda: crc.Crc(crc.CRC32C), lambda: crc.Crc(crc.CRC64NVME)]
CHECKS = ["cbf43926", "e3069283", "ae8b14860a799888", "cbf43926", "e3069283", "ae8b14860a799888"]


@pytest.mark.parametrize(("maker", "value"), list(zip(CRCS, CHECKS, strict=True)))
def test_the_crcs_check_values(maker: Callable[[], crc.Running], value: str) -> None:
    whole, pieces, nothing = maker(), maker(), maker()
    whole.update(b"123456789")
    for piece in (b"1234", b"", b"56789"):
        pieces.update(piece)
    assert whole.digest().hex() == pieces.digest().hex() == value
    assert not any(nothing.digest())


@pytest.mark.parametrize("parameters", [crc.CRC32C, crc.CRC64NVME])
def test_a_crc_in_lanes_is_the_crc_byte_by_byte(parameters: crc.Parameters) -> None:
    lanes, bytewise = crc.Crc(parameters), crc.Crc(parameters)
    data = BIG[:200_003]
    lanes.update(data)
    for start in range(0, len(data), 5000):
        bytewise.update(data[start : start + 5000])
    assert lanes.digest() == bytewise.digest()


def test_content_md5_is_compared_with_what_arrived(stand: Running) -> None:
    s3 = bucket_of(stand, "md5")
    good = base64.b64encode(hashlib.md5(BIG).digest()).decode()
    s3.put_object(Bucket="md5", Key="k", Body=BIG, ContentMD5=good)
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket="md5", Key="k", Body=BIG + b"x", ContentMD5=good)


def upload(s3: Any, bucket: str, key: str, bodies: list[bytes]) -> tuple[str, list[dict[str, Any]]]:
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType="model/pickle")["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    return upload_id, parts


def test_an_upload_goes_on_after_kill(tmp_path: Path) -> None:
    bodies = [bytes([n]) * (5 << 20) for n in range(3)]
    with running(tmp_path / "state") as stand:
        s3 = bucket_of(stand, "parts", versions=True)
        upload_id, parts = upload(s3, "parts", "model", bodies)
        stand.kill()
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        listed = s3.list_parts(Bucket="parts", Key="model", UploadId=upload_id)["Parts"]
        assert [part["Size"] for part in listed] == [5 << 20] * 3
        done = s3.complete_multipart_upload(
            Bucket="parts", Key="model", UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
        digests = b"".join(hashlib.md5(body).digest() for body in bodies)
        assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
        got = s3.get_object(Bucket="parts", Key="model")
        assert got["ContentType"] == "model/pickle"
        assert got["ContentLength"] == 15 << 20
        assert got["Body"].read() == b"".join(bodies)
        assert not list((stand.state / "s3" / "uploads").iterdir())
        assert not list((stand.state / "s3" / "staging").iterdir())


def test_a_part_that_was_never_uploaded_is_invalid(stand: Running) -> None:
    s3 = bucket_of(stand, "invalid-part")
    upload_id, parts = upload(s3, "invalid-part", "k", [b"x" * 300_000])
    wrong = [*parts, {"PartNumber": 2, "ETag": parts[0]["ETag"]}]
    with pytest.raises(ClientError, match="InvalidPart"):
        s3.complete_multipart_upload(
            Bucket="invalid-part", Key="k", UploadId=upload_id, MultipartUpload={"Parts": wrong}
        )
    s3.abort_multipart_upload(Bucket="invalid-part", Key="k", UploadId=upload_id)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="invalid-part")


def test_a_part_may_be_copied_from_an_object(stand: Running) -> None:
    s3 = bucket_of(stand, "part-copy")
    s3.put_object(Bucket="part-copy", Key="source", Body=BIG)
    upload_id = s3.create_multipart_upload(Bucket="part-copy", Key="k")["UploadId"]
    copied = s3.upload_part_copy(
        Bucket="part-copy",
        Key="k",
        UploadId=upload_id,
        PartNumber=1,
        CopySource="part-copy/source",
        CopySourceRange="bytes=5-6291460",
    )
    parts = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(Bucket="part-copy", Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert read(s3, "part-copy", "k") == BIG[5:6291461]


KEYS = [
    "한국어/모델 1.pkl",
    "a//b",
    "../up",
    "x" * 900,
    "plus+space &?#%41",
    ".meta.json",
    "dir/",
    "dir",
    "dir/file",
    "é\u0301",
]


def test_any_key_comes_back_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        s3 = bucket_of(stand, "keys")
        for key in KEYS:
            s3.put_object(Bucket="keys", Key=key, Body=key.encode(), Metadata={"a": "b"}, Tagging="t=1")
        stand.kill()
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3")
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="keys")["Contents"]] == sorted(KEYS, key=str.encode)
        for key in KEYS:
            got = s3.get_object(Bucket="keys", Key=key)
            assert (got["Body"].read(), got["Metadata"]) == (key.encode(), {"a": "b"})
            assert s3.get_object_tagging(Bucket="keys", Key=key)["TagSet"] == [{"Key": "t", "Value": "1"}]


def test_a_presigned_address_works_until_it_ends(stand: Running) -> None:
    s3 = bucket_of(stand, "presigned")
    s3.put_object(Bucket="presigned", Key="k", Body=b"for a browser")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "k"}, ExpiresIn=60)
    with urllib.request.urlopen(address, timeout=5) as answer:
        assert answer.read() == b"for a browser"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address.replace("/k?", "/other?"), timeout=5)
    assert caught.value.code == 403
    assert b"SignatureDoesNotMatch" in caught.value.read()


def test_a_full_disk_is_an_error_and_what_was_there_stays(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the kernel refuses the write in the same way."""
    script = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20)); "
    script += "runpy.run_module('awssim', run_name='__main__')"
    command = [sys.executable, "-c", script, "serve", "--state", str(tmp_path / "state"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        stand = Running(process, process.stdout.readline().split()[-1], tmp_path / "state")
        s3 = bucket_of(stand, "full")
        s3.put_object(Bucket="full", Key="k", Body=b"before")
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket="full", Key="k", Body=BIG)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert read(s3, "full", "k") == b"before"
        assert not list((stand.state / "s3" / "staging").iterdir())
        stand.stop()


def test_what_the_journal_had_committed_is_carried_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    target = journal.data / "account" / "bucket" / "key"
    journal.replace(target, b"old", {"etag": "old"})
    (journal.staging / "committed").write_bytes(b"new")
    (journal.staging / "committed.meta.json").write_text('{"etag": "new"}')
    line = {"path": str(target), "staged": "committed"}
    (tmp_path / "journal" / "committed.json").write_text(json.dumps(line))
    (journal.staging / "not-committed").write_bytes(b"lost")
    assert Journal(tmp_path).recover() == 1
    assert target.read_bytes() == b"new"
    assert json.loads(target.with_name("key.meta.json").read_text()) == {"etag": "new"}
    assert not list(journal.staging.iterdir())


def test_an_upload_that_is_not_allowed_ends_before_its_body(stand: Running) -> None:
    """A gigabyte is announced and not one byte of it sent: the refusal comes at once."""
    bucket_of(stand, "not-yours")
    keys = tenant(stand, "uploader", tenant_policy("88"))
    request = AWSRequest(
        method="PUT", url=f"{stand.endpoint}/not-yours/k", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    )
    SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "s3", REGION).add_auth(request)
    connection = http.client.HTTPConnection(stand.endpoint.removeprefix("http://"), timeout=10)
    connection.putrequest("PUT", "/not-yours/k")
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"s3:PutObject on resource" in answer.read()) == (403, True)
    connection.close()


def test_the_browser_is_answered_by_the_buckets_cors_rules(stand: Running) -> None:
    s3 = bucket_of(stand, "cors-bucket")
    s3.put_object(Bucket="cors-bucket", Key="k", Body=b"1")
    rule = {
        "AllowedOrigins": ["https://lab.example"],
        "AllowedMethods": ["GET"],
        "AllowedHeaders": ["*"],
        "MaxAgeSeconds": 60,
    }
    s3.put_bucket_cors(Bucket="cors-bucket", CORSConfiguration={"CORSRules": [rule]})

    def preflight(origin: str) -> tuple[int, str | None]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        request = urllib.request.Request(f"{stand.endpoint}/cors-bucket/k", method="OPTIONS", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.headers["Access-Control-Allow-Origin"]
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Access-Control-Allow-Origin"]

    assert preflight("https://lab.example") == (200, "https://lab.example")
    assert preflight("https://evil.example") == (403, None)
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "cors-bucket", "Key": "k"})
    with urllib.request.urlopen(
        urllib.request.Request(address, headers={"Origin": "https://lab.example"}), timeout=5
    ) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://lab.example"
