"""Who is asking: every key is checked, and a refusal is AWS's own."""

import datetime as dt
import http.client
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.awssim.running import REGION, Keys, Running, running, tenant, tenant_policy

LIST = {
    "s3": "list_buckets",
    "ecr": "describe_repositories",
    "iam": "list_users",
    "sts": "get_caller_identity",
    "eks": "list_clusters",
}
UNKNOWN = {
    "s3": "InvalidAccessKeyId",
    "ecr": "UnrecognizedClientException",
    "iam": "InvalidClientTokenId",
    "sts": "InvalidClientTokenId",
    "eks": "UnrecognizedClientException",
}
MISMATCH = dict.fromkeys(("s3", "iam", "sts"), "SignatureDoesNotMatch") | dict.fromkeys(
    ("ecr", "eks"), "InvalidSignatureException"
)


def code_of(stand: Running, service: str, keys: Keys) -> str:
    try:
        getattr(stand.client(service, keys), LIST[service])()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "allowed"


@pytest.mark.parametrize("service", LIST)
def test_root_is_let_in_with_its_own_secret_only(stand: Running, service: str) -> None:
    assert code_of(stand, service, stand.root) == "allowed"
    wrong = Keys(access_key_id=stand.root.access_key_id, secret_access_key="wrong")
    assert code_of(stand, service, wrong) == MISMATCH[service]


@pytest.mark.parametrize("service", LIST)
@pytest.mark.parametrize("key", ["test", "123456789012", "000000000000", "AKIAFOREIGNFOREIGN00"])
def test_keys_ministack_takes_for_root_are_unknown(stand: Running, service: str, key: str) -> None:
    assert code_of(stand, service, Keys(access_key_id=key, secret_access_key="test")) == UNKNOWN[service]


def test_an_iam_users_key_is_checked_until_it_is_made_inactive(stand: Running) -> None:
    keys = tenant(stand, "signer", tenant_policy("77"))
    assert code_of(stand, "sts", keys) == "allowed"
    wrong = Keys(access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key[:-1] + "#")
    assert code_of(stand, "sts", wrong) == "SignatureDoesNotMatch"
    stand.client("iam").update_access_key(UserName="signer", AccessKeyId=keys.access_key_id, Status="Inactive")
    assert code_of(stand, "sts", keys) == "InvalidClientTokenId"


def test_caller_identity_names_the_user(stand: Running) -> None:
    keys = tenant(stand, "caller", tenant_policy("78"))
    identity = stand.client("sts", keys).get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/caller"
    assert identity["Account"] == "123456789012"
    assert stand.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"


def call(stand: Running, request: AWSRequest) -> tuple[int, str]:
    prepared = request.prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else None
    plain = urllib.request.Request(prepared.url, data=body, headers=dict(prepared.headers), method=prepared.method)
    try:
        with urllib.request.urlopen(plain, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def signed(
    stand: Running, service: str, method: str, path: str, body: str = "", when: dt.datetime | None = None
) -> AWSRequest:
    request = AWSRequest(method=method, url=stand.endpoint + path, data=body)
    if service == "s3":
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    auth = SigV4Auth(Credentials(stand.root.access_key_id, stand.root.secret_access_key), service, REGION)
    now = dt.datetime.now(dt.UTC) if when is None else when
    request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"
    )
    return request


@pytest.mark.parametrize(("service", "code"), [("s3", "RequestTimeTooSkewed"), ("sts", "SignatureDoesNotMatch")])
@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_too_far_off_is_refused(stand: Running, service: str, code: str, minutes: int) -> None:
    when = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    status, text = call(stand, signed(stand, service, "GET", "/", when=when))
    assert status == 403
    assert f"<Code>{code}</Code>" in text


def test_a_changed_body_is_refused(stand: Running) -> None:
    request = signed(stand, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15")
    request.data = "Action=GetSessionToken&Version=2011-06-15"
    status, text = call(stand, request)
    assert status == 403
    assert "SignatureDoesNotMatch" in text


def test_a_header_nobody_signed_is_refused(stand: Running) -> None:
    request = signed(stand, "s3", "GET", "/")
    request.headers["x-amz-acl"] = "public-read"
    status, text = call(stand, request)
    assert status == 403
    assert "headers present in the request which were not signed" in text


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/", {}, 403, "AccessDenied"),
        (
            "/",
            {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"},
            400,
            "MissingAuthenticationTokenException",
        ),
        ("/?Action=ListUsers&Version=2010-05-08", {}, 403, "MissingAuthenticationToken"),
        ("/not-a-bucket/key", {}, 403, "AccessDenied"),
        ("/", {"Authorization": "AWS AKIA:signature"}, 400, "InvalidRequest"),
        ("/", {"Authorization": "Bearer x"}, 400, "InvalidRequest"),
    ],
)
def test_no_credentials_no_answer(stand: Running, path: str, headers: dict[str, str], status: int, code: str) -> None:
    got, text = call(stand, AWSRequest(method="GET", url=stand.endpoint + path, headers=headers))
    assert (got, code in text) == (status, True), text


ADMINISTRATIVE = [
    ("POST", "/_ministack/reset"), ("POST", "/_localstack/state/reset"), ("POST", "/_ministack/config"),
    ("GET", "/_ministack/ready"), ("GET", "//_ministack/ready"), ("GET", "/_aws/ses/messages"), ("POST", "/_ministack/eks-auth/x"),
    ("POST", "/_ministack/rds/iam-auth"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ADMINISTRATIVE)
def test_administrative_pages_are_closed(stand: Running, method: str, path: str) -> None:
    connection = http.client.HTTPConnection(stand.endpoint.removeprefix("http://"), timeout=10)
    connection.request(method, path)
    assert connection.getresponse().status == 403
    connection.close()


def test_health_pages_are_open(stand: Running) -> None:
    for path in ("/_awssim/health", "/_localstack/health"):
        status, text = call(stand, AWSRequest(method="GET", url=stand.endpoint + path))
        body: dict[str, Any] = json.loads(text)
        assert status == 200
        assert "s3" in body["services"]


def test_session_tokens_belong_to_their_key(stand: Running) -> None:
    made = stand.client("sts").get_session_token()["Credentials"]
    keys = Keys(
        access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"], session_token=made["SessionToken"]
    )
    assert code_of(stand, "s3", keys) == "allowed"
    bare = Keys(access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
    assert code_of(stand, "sts", bare) == "InvalidClientTokenId"
    foreign = Keys(access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key, session_token="foreign")
    assert code_of(stand, "s3", foreign) == "InvalidToken"


def rest(stand: Running, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(stand.endpoint.removeprefix("http://"), timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_nobody_borrows_anothers_name_beside_their_own_signature(stand: Running) -> None:
    """ministack takes the first Credential it finds, also in the query: with a good signature of one's own beside it, one would be root."""
    keys = tenant(stand, "borrower", tenant_policy("79"))
    auth = SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "iam", REGION)
    request = AWSRequest(method="GET", url=stand.endpoint + "/?Action=ListUsers&Version=2010-05-08")
    auth.add_auth(request)
    headers, path = dict(request.headers.items()), "/?Action=ListUsers&Version=2010-05-08"
    headers["Host"] = stand.endpoint.removeprefix("http://")
    assert "AccessDenied" in rest(stand, path, headers)[1]
    borrowed = f"Credential={stand.root.access_key_id}/{auth.scope(request).partition('/')[2]}"
    twice = headers["Authorization"].replace("AWS4-HMAC-SHA256 ", f"AWS4-HMAC-SHA256 {borrowed}, ")
    assert rest(stand, path, {**headers, "Authorization": twice}) != (200, "")
    assert "IncompleteSignature" in rest(stand, path, {**headers, "Authorization": twice})[1]
    in_query = f"{path}&X-Amz-Credential={stand.root.access_key_id}%2F20260101%2Fx%2Fiam%2Faws4_request"
    assert rest(stand, in_query, headers)[0] == 400


@pytest.mark.parametrize("host", ["other-bucket.s3.ap-northeast-2.amazonaws.com", "other-bucket.localhost:4566"])
def test_a_bucket_in_the_host_is_the_bucket_that_is_authorized(stand: Running, host: str) -> None:
    s3 = stand.client("s3")
    if "other-bucket" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="other-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="other-bucket", Key="k", Body=b"secret")

    def get(keys: Keys) -> tuple[int, str]:
        request = AWSRequest(method="GET", url=f"http://{host}/k", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
        SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "s3", REGION).add_auth(request)
        return rest(stand, "/k", {**dict(request.headers.items()), "Host": host})

    assert get(stand.root) == (200, "secret")
    user = f"hosted-{host[13:15]}-x".replace(".", "")
    status, text = get(tenant(stand, user, tenant_policy("80")))
    assert (status, "s3:GetObject" in text) == (403, True)


HOSTS = [
    "x.execute-api.localhost",
    "x.lambda-url.us-east-1.localhost",
    "d1.cloudfront.net",
    "x.mrap.accesspoint.s3-global.amazonaws.com",
]
PATHS = [
    "/oauth2/token",
    "/iceberg/v1/config",
    "/2015-03-31/functions",
    "/v2/email/identities",
    "/restapis",
    "/prod/sync",
    "/model/x/invoke",
]


@pytest.mark.parametrize(("host", "path"), [(host, "/") for host in HOSTS] + [("", path) for path in PATHS])
def test_other_doors_of_ministack_are_shut(stand: Running, host: str, path: str) -> None:
    status, _ = rest(stand, path, {"Host": host} if host else {})
    assert status in (400, 401, 403)


def test_an_expired_session_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        made = stand.client("sts").get_session_token()["Credentials"]
        stand.stop()
    file = tmp_path / "state" / "services" / "sts.json"
    end = re.search(r'"Expiration": ?([0-9.]+)', file.read_text())
    assert end
    file.write_text(file.read_text().replace(end.group(1), "1000000000"))
    with running(tmp_path / "state") as stand:
        keys = Keys(
            access_key_id=made["AccessKeyId"],
            secret_access_key=made["SecretAccessKey"],
            session_token=made["SessionToken"],
        )
        assert code_of(stand, "s3", keys) == "ExpiredToken"
        assert code_of(stand, "sts", keys) == "ExpiredToken"
        assert code_of(stand, "ecr", keys) == "ExpiredTokenException"


def test_a_forwarded_address_or_scheme_is_not_believed(stand: Running) -> None:
    conditions = {"IpAddress": {"aws:SourceIp": "10.1.2.3/32"}}
    by_address = {
        "Statement": [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": conditions}]
    }
    by_scheme = json.loads(
        json.dumps(by_address).replace(json.dumps(conditions), '{"Bool": {"aws:SecureTransport": "true"}}')
    )
    for user, policy in (("from-afar", by_address), ("by-tls", by_scheme)):
        keys = tenant(stand, user, policy)
        request = AWSRequest(method="GET", url=stand.endpoint + "/?Action=ListUsers&Version=2010-05-08")
        SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "iam", REGION).add_auth(request)
        spoofed = {
            "X-Forwarded-For": "10.1.2.3",
            "X-Forwarded-Proto": "https",
            "Host": stand.endpoint.removeprefix("http://"),
        }
        status, text = rest(
            stand, "/?Action=ListUsers&Version=2010-05-08", {**dict(request.headers.items()), **spoofed}
        )
        assert (status, "AccessDenied" in text) == (403, True)


def test_a_connection_is_good_after_a_refused_body(stand: Running) -> None:
    """A client that waits for 100 Continue does not send the body of a refused request: the next one must not be taken for it."""
    stand.client("s3").create_bucket(Bucket="refused-bodies", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3 = stand.client("s3", Keys(access_key_id="AKIAFOREIGNFOREIGN00", secret_access_key="x"))
    for size in (1, 400_000):
        for _ in range(3):
            with pytest.raises(ClientError, match="InvalidAccessKeyId"):
                s3.put_object(Bucket="refused-bodies", Key="k", Body=b"x" * size)
