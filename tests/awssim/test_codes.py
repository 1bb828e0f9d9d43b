"""The codes of refusals, service by service: what a client decides by when keys are wrong, times are off, or a body is not what was signed."""

import datetime as dt
import hashlib
import http.client
import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack.core.sigv4 import derive_signing_key

from awssim.sigv4 import sign
from tests.awssim.running import REGION, Running

ECR = {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"}
CALLS: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "s3": ("GET", "/", b"", {}),
    "ecr": ("POST", "/", b"{}", {**ECR, "Content-Type": "application/x-amz-json-1.1"}),
    "iam": ("GET", "/?Action=ListUsers&Version=2010-05-08", b"", {}),
    "sts": ("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", b"", {}),
    "eks": ("GET", "/clusters", b"", {}),
}
SKEWED = {
    "s3": "RequestTimeTooSkewed", "ecr": "InvalidSignatureException", "iam": "SignatureDoesNotMatch",
    "sts": "SignatureDoesNotMatch", "eks": "InvalidSignatureException",
}  # fmt: skip
WRONG = {**SKEWED, "s3": "SignatureDoesNotMatch"}
NOBODY = {
    "s3": "AccessDenied", "ecr": "MissingAuthenticationTokenException", "iam": "MissingAuthenticationToken",
    "sts": "MissingAuthenticationToken", "eks": "MissingAuthenticationTokenException",
}  # fmt: skip


def asked(stand: Running, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(stand.endpoint.removeprefix("http://"), timeout=20)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, f"{answer.getheader('x-amzn-errortype') or ''}{text}"


def headers_of(
    stand: Running, service: str, *, minutes: float = 0, secret: str = "", service_name: str = ""
) -> dict[str, str]:
    """A service's usual call, signed: at another time, with another secret, or for another service."""
    method, path, body, headers = CALLS[service]
    request = AWSRequest(method=method, url=stand.endpoint + path, data=body, headers=dict(headers))
    if service == "s3":
        request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    auth = SigV4Auth(
        Credentials(stand.root.access_key_id, secret or stand.root.secret_access_key), service_name or service, REGION
    )
    when = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = request.headers["X-Amz-Date"] = when
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"
    )
    return dict(request.headers.items())


def call(stand: Running, service: str, headers: dict[str, str]) -> tuple[int, str]:
    method, path, body, _ = CALLS[service]
    return asked(stand, method, path, body, headers)


@pytest.mark.parametrize("service", CALLS)
def test_a_call_is_answered_and_so_is_its_replay(stand: Running, service: str) -> None:
    """As on AWS a request may be sent again until its time is too far off, by 15 minutes, for EKS by 5."""
    headers = headers_of(stand, service, minutes=-4)
    assert [call(stand, service, headers)[0] for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("minutes", [-16, 16, 60 * 24 * 400])
@pytest.mark.parametrize("service", CALLS)
def test_a_clock_that_is_off(stand: Running, service: str, minutes: int) -> None:
    status, text = call(stand, service, headers_of(stand, service, minutes=minutes))
    assert (status in (400, 403), SKEWED[service] in text) == (True, True), text


@pytest.mark.parametrize("service", CALLS)
def test_a_wrong_secret(stand: Running, service: str) -> None:
    status, text = call(stand, service, headers_of(stand, service, secret="wrong"))
    assert (status in (400, 403), WRONG[service] in text) == (True, True), text


@pytest.mark.parametrize("service", CALLS)
def test_no_credentials(stand: Running, service: str) -> None:
    status, text = call(stand, service, CALLS[service][3])
    assert (status in (400, 403), NOBODY[service] in text) == (True, True), text


@pytest.mark.parametrize("service", CALLS)
def test_a_signature_for_another_service_or_path_is_not_good(stand: Running, service: str) -> None:
    other = "eks" if service != "eks" else "iam"
    status, _ = call(stand, service, headers_of(stand, service, service_name=other))
    assert status in (400, 403, 404)
    method, path, body, _ = CALLS[service]
    status, text = asked(stand, method, path.replace("/", "/x", 1), body, headers_of(stand, service))
    assert (status in (400, 403), WRONG[service] in text) == (True, True), text


@pytest.fixture(scope="module")
def bucket(stand: Running) -> str:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket="codes-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="codes-bucket", Key="k", Body=b"1")
    return "codes-bucket"


def fetched(address: str, method: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(address, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_presigned_address_is_good_for_its_method_key_and_headers_only(stand: Running, bucket: str) -> None:
    s3 = stand.client("s3")
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert fetched(get, "GET") == (200, "1")
    for method in ("PUT", "DELETE", "POST"):
        status, text = fetched(get, method, b"x")
        assert (status, "SignatureDoesNotMatch" in text) == (403, True)
    assert fetched(get, "HEAD")[0] == 403
    assert fetched(get.replace("/k?", "/other?"), "GET")[0] == 403
    assert fetched(f"{get}&versionId=null", "GET")[0] == 403
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "sent", "ContentType": "text/plain"})
    assert fetched(put, "PUT", b"sent", **{"Content-Type": "text/html"})[0] == 403
    assert fetched(put, "PUT", b"sent", **{"Content-Type": "text/plain"})[0] == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"


def test_a_presigned_address_has_an_end(stand: Running, bucket: str) -> None:
    for seconds in (0, -1, 604_801):
        address = stand.client("s3").generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=seconds
        )
        status, text = fetched(address, "GET")
        assert (status, "AuthorizationQueryParametersError" in text) == (400, True)
    address = stand.client("s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert fetched(address.replace("X-Amz-Expires=3600", "X-Amz-Expires=604800"), "GET")[0] == 403


class Chunks:
    """An upload in signed chunks, as AWS's Java clients send it, by the text of the specification."""

    def __init__(self, stand: Running, path: str, *, trailer: bool = False) -> None:
        kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
        request = AWSRequest(method="PUT", url=stand.endpoint + path)
        request.headers["x-amz-content-sha256"] = kind
        request.headers["content-encoding"] = "aws-chunked"
        request.headers["x-amz-decoded-content-length"] = str(len(b"".join(PIECES)))
        if trailer:
            request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        keys = Credentials(stand.root.access_key_id, stand.root.secret_access_key)
        auth = SigV4Auth(keys, "s3", REGION)
        now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        request.context["timestamp"] = request.headers["X-Amz-Date"] = now
        signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        names = auth.signed_headers(auth.headers_to_sign(request))
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"
        )
        self.headers = dict(request.headers.items())
        self._time, self._scope, self._last = now, auth.credential_scope(request), signature
        self._key = derive_signing_key(str(keys.secret_key), now[:8], REGION, "s3")

    def chunk(self, piece: bytes) -> bytes:
        digests = (hashlib.sha256(b"").hexdigest(), hashlib.sha256(piece).hexdigest())
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self._time, self._scope, self._last, *digests])
        self._last = sign(self._key, text)
        return f"{len(piece):x};chunk-signature={self._last}\r\n".encode() + piece + (b"\r\n" if piece else b"")

    def trailer(self, checksum: str) -> bytes:
        line = f"x-amz-checksum-crc32:{checksum}"
        digest = hashlib.sha256(f"{line}\n".encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", self._time, self._scope, self._last, digest])
        return f"{line}\r\nx-amz-trailer-signature:{sign(self._key, text)}\r\n\r\n".encode()


PIECES = [b"a" * 70_000, b"b" * 70_000, b"c" * 10]
CRC32 = "d8I1Dw=="


@pytest.mark.parametrize("changed", ["", "content", "order", "missing end"])
def test_signed_chunks(stand: Running, bucket: str, changed: str) -> None:
    path = f"/{bucket}/chunks-{changed.replace(' ', '-')}"
    sent = Chunks(stand, path)
    frames = [sent.chunk(piece) for piece in [*PIECES, b""]]
    if changed == "content":
        frames[1] = frames[1].replace(b"b" * 70_000, b"b" * 69_999 + b"x")
    elif changed == "order":
        frames[0], frames[1] = frames[1], frames[0]
    elif changed == "missing end":
        frames.pop()
    body = b"".join(frames) + (b"\r\n" if changed != "missing end" else b"")
    status, text = asked(stand, "PUT", path, body, sent.headers)
    listed = stand.client("s3").list_objects_v2(Bucket=bucket, Prefix=path.rpartition("/")[2]).get("Contents", [])
    if changed:
        assert (status in (400, 403), listed) == (True, []), text
        assert ("IncompleteBody" if changed == "missing end" else "SignatureDoesNotMatch") in text
    else:
        assert (status, listed[0]["Size"]) == (200, 140_010), text


@pytest.mark.parametrize("wrong", ["", "checksum", "signature"])
def test_a_signed_trailer(stand: Running, bucket: str, wrong: str) -> None:
    import base64
    import zlib

    path, crc = f"/{bucket}/trailer-{wrong}", zlib.crc32(b"".join(PIECES)).to_bytes(4, "big")
    sent = Chunks(stand, path, trailer=True)
    frames = b"".join(sent.chunk(piece) for piece in [*PIECES, b""])
    end = sent.trailer("AAAAAA==" if wrong == "checksum" else base64.b64encode(crc).decode())
    if wrong == "signature":
        end = end.replace(b"signature:", b"signature:0")
    status, text = asked(stand, "PUT", path, frames + end, sent.headers)
    told = {"": "", "checksum": "BadDigest", "signature": "SignatureDoesNotMatch"}[wrong]
    assert (status == 200) == (not wrong), text
    assert told in text or (wrong == "checksum" and "InvalidRequest" in text), text


def test_refusals_are_in_the_services_own_shape(stand: Running) -> None:
    shapes = {service: call(stand, service, headers_of(stand, service, secret="wrong"))[1] for service in CALLS}
    assert shapes["s3"].startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert all("<ErrorResponse" in shapes[service] for service in ("iam", "sts"))
    assert "InvalidSignatureException" in json.loads(shapes["ecr"][shapes["ecr"].index("{") :])["__type"]
