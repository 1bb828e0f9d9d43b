"""What is authorized is what is carried out: calls that mean one thing to whoever checks rights and another to whoever acts."""

import http.client
import json
import uuid
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from awssim import grammar
from awssim.asgi import Request
from awssim.calls import one_meaning
from awssim.errors import Refused
from tests.awssim.running import ACCOUNT, REGION, Keys, Running, tenant
from tests.awssim.test_policies import ECR, IAM, S3, allow

CLUSTER = "mlops-training-cluster"
TARGET = "AmazonEC2ContainerRegistry_V20150921."
JSON = {"Content-Type": "application/x-amz-json-1.1"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Thief:
    """A user who may log in to ECR, read one bucket, delete keys of their own and do as they like with roles called mine-*."""

    def __init__(self, stand: Running) -> None:
        self.stand, self.name = stand, f"thief-{uuid.uuid4().hex[:6]}"
        self.victim = self.name.replace("thief", "victim")
        stand.client("ecr").create_repository(repositoryName=self.victim)
        s3 = stand.client("s3")
        s3.create_bucket(Bucket=self.victim, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=self.victim, Key="k", Body=b"kept")
        stand.client("iam").create_user(UserName=self.victim)
        rights = [
            allow(["ecr:GetAuthorizationToken", "iam:GetUser", "eks:ListClusters"]),
            allow("ecr:*", f"{ECR}{self.name}"),
            allow(["s3:GetObject", "s3:PutObjectTagging"], f"{S3}{self.victim}/*"),
            allow("s3:*", f"{S3}{self.name}/*"),
            allow("iam:*", f"{IAM}role/mine-*"),
            allow(["iam:DeleteAccessKey", "iam:UpdateAccessKey"], IAM + "user/${aws:username}"),
        ]
        self.keys = tenant(stand, self.name, {"Version": "2012-10-17", "Statement": rights})

    def send(self, service: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        """A call that is signed well, whatever it says."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method=method, url=self.stand.endpoint + path, data=body.encode(), headers=named)
        auth = S3SigV4Auth if service == "s3" else SigV4Auth
        auth(Credentials(self.keys.access_key_id, self.keys.secret_access_key), service, REGION).add_auth(request)
        prepared = request.prepare()
        connection = http.client.HTTPConnection(self.stand.endpoint.removeprefix("http://"), timeout=20)
        connection.request(method, path, body=body.encode(), headers=dict(prepared.headers))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text


@pytest.fixture(scope="module")
def thief(stand: Running) -> Thief:
    return Thief(stand)


def test_an_action_in_the_address_is_not_ecrs(thief: Thief) -> None:
    body, target = json.dumps({"repositoryName": thief.victim}), TARGET + "DeleteRepository"
    for path in ("/?Action=GetAuthorizationToken", "/"):
        status, text = thief.send("ecr", "POST", path, body, X_Amz_Target=target, **JSON)
        assert (status, "to perform: ecr:DeleteRepository" in text) == (403, True), text
    assert thief.stand.client("ecr").describe_repositories(repositoryNames=[thief.victim])["repositories"]


@pytest.mark.parametrize("beside", ["repositoryNames", "resourceArn"])
def test_a_name_beside_the_repositorys_does_not_lend_its_rights(thief: Thief, beside: str) -> None:
    other = [thief.name] if beside == "repositoryNames" else f"{ECR}{thief.name}"
    body = json.dumps({"repositoryName": thief.victim, beside: other})
    status, text = thief.send("ecr", "POST", "/", body, X_Amz_Target=TARGET + "ListImages", **JSON)
    assert (status, f"repository/{thief.victim}" in text) == (403, True)


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("?Action=GetObject", "changed", {}),
        ("", "changed", {"X_Amz_Target": "x.GetObject"}),
        ("", "Action=GetObject", FORM),
        ("", "tagging=1", FORM),
    ],
    ids=["in the address", "in a header", "in a form", "of a setting in a form"],
)
def test_no_action_of_s3_is_anywhere_but_in_the_request(
    thief: Thief, path: str, body: str, headers: dict[str, str]
) -> None:
    for method in ("PUT", "DELETE"):
        status, text = thief.send("s3", method, f"/{thief.victim}/k{path}", body, **headers)
        assert (status, "AccessDenied" in text) == (403, True)
    assert thief.stand.client("s3").get_object(Bucket=thief.victim, Key="k")["Body"].read() == b"kept"


@pytest.mark.parametrize(("path", "headers"), [("?Action=ListClusters", {}), ("", {"X_Amz_Target": "x.ListClusters"})])
def test_nor_any_of_eks(thief: Thief, path: str, headers: dict[str, str]) -> None:
    entry = json.dumps({"principalArn": f"arn:aws:iam::{ACCOUNT}:user/{thief.name}", "kubernetesGroups": ["x"]})
    status, text = thief.send("eks", "POST", f"/clusters/{CLUSTER}/access-entries{path}", entry, **JSON, **headers)
    assert (status, "eks:CreateAccessEntry" in text) == (403, True)


def test_a_bucket_behind_anothers_objects_is_not_tagged(thief: Thief) -> None:
    """ministack authorizes the whole text, which is an object of one's own, and tags the bucket after the last colons."""
    arn = quote(f"arn:aws:s3:::{thief.name}/x:::{thief.victim}")
    tags = "<TagResourceRequest><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></TagResourceRequest>"
    status, text = thief.send("s3", "POST", f"/v20180820/tags/{arn}", tags, X_Amz_Account_Id=ACCOUNT)
    assert (status, "InvalidRequest" in text) == (400, True)
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        thief.stand.client("s3").get_bucket_tagging(Bucket=thief.victim)


def test_iams_action_is_given_once(thief: Thief) -> None:
    made = f"Action=CreateUser&UserName={thief.name}-2&Version=2010-05-08"
    for path, body in (("/?Action=GetUser", made), ("/", f"Action=GetUser&{made}"), (f"/?{made}", "Action=GetUser")):
        status, text = thief.send("iam", "POST", path, body, **FORM)
        assert (status, "is given twice" in text) == (400, True)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        thief.stand.client("iam").get_user(UserName=f"{thief.name}-2")


def test_a_role_beside_a_users_name_does_not_lend_its_rights(thief: Thief) -> None:
    body = f"Action=CreateAccessKey&UserName={thief.victim}&RoleName=mine-x&Version=2010-05-08"
    status, text = thief.send("iam", "POST", "/", body, **FORM)
    assert (status, f"user/{thief.victim}" in text) == (403, True)


@pytest.mark.parametrize("call", ["Action=DeleteAccessKey", "Action=UpdateAccessKey&Status=Inactive"])
def test_the_right_to_ones_own_keys_is_not_one_to_anothers(thief: Thief, call: str) -> None:
    iam = thief.stand.client("iam")
    key = iam.create_access_key(UserName=thief.victim)["AccessKey"]["AccessKeyId"]
    status, text = thief.send("iam", "POST", "/", f"{call}&AccessKeyId={key}&Version=2010-05-08", **FORM)
    assert (status, "NoSuchEntity" in text) == (404, True)
    listed = {
        item["AccessKeyId"]: item["Status"] for item in iam.list_access_keys(UserName=thief.victim)["AccessKeyMetadata"]
    }
    assert listed[key] == "Active"
    iam.delete_access_key(UserName=thief.victim, AccessKeyId=key)


def test_a_user_without_a_name_is_the_caller(stand: Running) -> None:
    keys = tenant(
        stand, "self-served", {"Version": "2012-10-17", "Statement": [allow("iam:*", IAM + "user/${aws:username}")]}
    )
    iam = stand.client("iam", keys)
    assert iam.get_user()["User"]["UserName"] == "self-served"
    made = iam.create_access_key()["AccessKey"]
    assert made["UserName"] == "self-served"
    new = Keys(access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"])
    assert stand.client("sts", new).get_caller_identity()["Arn"] == f"{IAM}user/self-served"
    assert {key["AccessKeyId"] for key in iam.list_access_keys()["AccessKeyMetadata"]} == {
        keys.access_key_id,
        new.access_key_id,
    }
    with pytest.raises(ClientError, match="LimitExceeded"):
        iam.create_access_key()
    iam.delete_access_key(AccessKeyId=keys.access_key_id)
    with pytest.raises(ClientError, match="Must specify userName"):
        stand.client("iam").create_access_key()


def call(body: bytes = b"", **query: list[str]) -> tuple[Request, bytes]:
    return Request("POST", "/", "/", query, {"x-amz-target": "x.DeleteRepository"}), body


def test_what_goes_on_is_what_the_operation_has() -> None:
    request, body = one_meaning("iam", *call(b"Action=GetUser&UserName=a&RoleName=b&Version=2010-05-08"))
    assert (request.query, body) == ({"Action": ["GetUser"], "UserName": ["a"], "Version": ["2010-05-08"]}, b"")
    request, body = one_meaning("ecr", *call(b'{"repositoryName": "a", "repositoryNames": ["b"]}', Action=["X"]))
    assert (request.query, json.loads(body)) == ({}, {"repositoryName": "a"})
    request, _ = one_meaning("s3", *call(Action=["GetObject"], tagging=[""]))
    assert (request.query, request.headers) == ({"tagging": [""]}, {})
    for bad in (call(versionId=["", "1"]), call(b"a=1&a=2")):
        with pytest.raises(Refused, match="is given twice"):
            one_meaning("iam", *bad)
    with pytest.raises(Refused, match="SerializationException"):
        one_meaning("ecr", *call(b"[]"))


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "reason"),
    [
        ("iam", "CreateUser", {"UserName": "anna.b@x"}, ""),
        ("iam", "CreateUser", {"UserName": "*"}, "regular expression"),
        ("iam", "CreateUser", {"UserName": "x" * 65}, "less than or equal to 64"),
        ("iam", "CreateUser", {}, "must not be null"),
        ("sts", "GetSessionToken", {"DurationSeconds": "129601"}, "less than or equal to 129600"),
        ("sts", "GetSessionToken", {"DurationSeconds": "1"}, "greater than or equal to 900"),
        ("sts", "GetSessionToken", {"DurationSeconds": "long"}, "a number"),
        ("ecr", "PutImageTagMutability", {"repositoryName": "aa", "imageTagMutability": "NO"}, "enum value set: [MUTABLE"),
        ("ecr", "NoSuchCall", {"repositoryName": "?"}, ""),
    ],
)  # fmt: skip
def test_parameters_are_as_the_services_model_says(
    service: str, operation: str, parameters: dict[str, str], reason: str
) -> None:
    found = grammar.problem(service, operation, parameters)
    assert (reason in found[1]) if found else not reason
