"""Where rights come from: every kind of policy and of credential, on every service, for a call it allows and for one it does not."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.awssim.images import Client, image
from tests.awssim.running import ACCOUNT, REGION, Keys, Running, tenant
from tests.awssim.test_policies import ECR, IAM, S3, Call, Statement, allow, deny, outcome

PLACE, ROLE = "rights-place", f"{IAM}role/rights-trusting"
CLUSTER = "mlops-training-cluster"
CALLS: dict[str, tuple[Statement, Call]] = {
    "s3": (allow("s3:GetObject", f"{S3}{PLACE}/*"), ("s3", "get_object", {"Bucket": PLACE, "Key": "k"})),
    "ecr": (allow("ecr:ListImages", ECR + PLACE), ("ecr", "list_images", {"repositoryName": PLACE})),
    "iam": (allow("iam:ListRoles"), ("iam", "list_roles", {})),
    "sts": (allow("sts:AssumeRole", ROLE), ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "again"})),
    "eks": (
        allow("eks:DescribeCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/*"),
        ("eks", "describe_cluster", {"name": CLUSTER}),
    ),
}
OTHERWISE = allow("s3:ListAllMyBuckets")
NOTHING = deny("s3:GetObject", f"{S3}nothing")
EVERYTHING = allow("*")


def policy(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def text(*statements: Statement) -> str:
    return json.dumps(policy(*statements))


def keys_of(made: dict[str, Any]) -> Keys:
    return Keys(
        access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"], session_token=made["SessionToken"]
    )


class World:
    """Users and roles with rights of one source each."""

    def __init__(self, stand: Running) -> None:
        self.stand = stand
        self.iam = stand.client("iam")
        self.sts = stand.client("sts")
        s3 = stand.client("s3")
        s3.create_bucket(Bucket=PLACE, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=PLACE, Key="k", Body=b"1")
        stand.client("ecr").create_repository(repositoryName=PLACE)
        self.role("rights-trusting")

    def role(self, name: str) -> str:
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(trust))["Role"]
        return str(made["Arn"])

    def managed(self, *statements: Statement) -> str:
        made = self.iam.create_policy(PolicyName=f"p-{uuid.uuid4().hex}", PolicyDocument=text(*statements))
        return str(made["Policy"]["Arn"])

    def user(self, name: str, *statements: Statement) -> Keys:
        return tenant(self.stand, name, policy(*(statements or [NOTHING])))

    def assumed(self, name: str, *statements: Statement, attached: bool = False, **more: Any) -> Keys:
        arn = self.role(name)
        if attached:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=self.managed(*statements))
        else:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=text(*statements))
        sts = self.stand.client("sts", self.user(name, allow("sts:AssumeRole", arn)))
        return keys_of(sts.assume_role(RoleArn=arn, RoleSessionName="run1", **more)["Credentials"])

    def grouped(self, name: str, *statements: Statement, attached: bool) -> Keys:
        self.iam.create_group(GroupName=name)
        if attached:
            self.iam.attach_group_policy(GroupName=name, PolicyArn=self.managed(*statements))
        else:
            self.iam.put_group_policy(GroupName=name, PolicyName="p", PolicyDocument=text(*statements))
        keys = self.user(name)
        self.iam.add_user_to_group(GroupName=name, UserName=name)
        return keys

    def attached(self, name: str, *statements: Statement) -> Keys:
        keys = self.user(name)
        self.iam.attach_user_policy(UserName=name, PolicyArn=self.managed(*statements))
        return keys

    def bounded(self, name: str, *statements: Statement) -> Keys:
        keys = self.user(name, EVERYTHING)
        self.iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=self.managed(*statements))
        return keys

    def bounded_role(self, name: str, *statements: Statement) -> Keys:
        keys = self.assumed(name, EVERYTHING)
        self.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=self.managed(*statements))
        return keys

    def session(self, name: str, *statements: Statement) -> Keys:
        sts = self.stand.client("sts", self.user(name, *statements))
        return keys_of(sts.get_session_token(DurationSeconds=900)["Credentials"])

    def federated(self, name: str, *statements: Statement) -> Keys:
        sts = self.stand.client("sts", self.user(name, EVERYTHING))
        return keys_of(sts.get_federation_token(Name="guest", Policy=text(*statements))["Credentials"])

    def limited(self, name: str, *statements: Statement) -> Keys:
        return self.assumed(name, EVERYTHING, Policy=text(*statements))

    def limited_by_managed(self, name: str, *statements: Statement) -> Keys:
        return self.assumed(name, EVERYTHING, PolicyArns=[{"arn": self.managed(*statements)}])


@pytest.fixture(scope="module")
def rights(stand: Running) -> World:
    return World(stand)


Source = Callable[..., Keys]
SOURCES: dict[str, Source] = {
    "an inline policy": World.user,
    "a managed policy": World.attached,
    "a group's inline policy": lambda world, *of: world.grouped(*of, attached=False),
    "a group's managed policy": lambda world, *of: world.grouped(*of, attached=True),
    "a role's inline policy": World.assumed,
    "a role's managed policy": lambda world, *of: world.assumed(*of, attached=True),
    "a session token": World.session,
    "a federation token's policy": World.federated,
    "a boundary": World.bounded,
    "a role's boundary": World.bounded_role,
    "a session's policy": World.limited,
    "a session's managed policy": World.limited_by_managed,
}
NEVER = {("a session token", "iam"), ("a federation token's policy", "iam"), ("a federation token's policy", "sts")}
REFUSED = ("AccessDenied", "AccessDeniedException", "InvalidClientTokenId")


@pytest.mark.parametrize("source", SOURCES)
def test_rights_are_what_their_source_gives(rights: World, source: str) -> None:
    given = [statement for statement, _ in CALLS.values()]
    able, unable = (SOURCES[source](rights, f"r-{uuid.uuid4().hex[:12]}", *of) for of in (given, [OTHERWISE]))
    for service, (_, call) in CALLS.items():
        got = outcome(rights.stand, able, call)
        assert got in REFUSED if (source, service) in NEVER else got == "allowed", service
        assert outcome(rights.stand, unable, call) in REFUSED, service


@pytest.mark.parametrize("source", [name for name in SOURCES if "session" not in name and "federation" not in name])
def test_a_deny_of_any_source_wins(rights: World, source: str) -> None:
    _, call = CALLS["s3"]
    name = f"d-{uuid.uuid4().hex[:12]}"
    keys = SOURCES[source](rights, name, deny("s3:GetObject"))
    if "role" not in source:
        rights.iam.put_user_policy(UserName=name, PolicyName="tenant", PolicyDocument=text(EVERYTHING))
        if source == "an inline policy":
            rights.iam.put_user_policy(UserName=name, PolicyName="second", PolicyDocument=text(deny("s3:GetObject")))
    else:
        rights.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=text(EVERYTHING))
    assert outcome(rights.stand, keys, call) == "AccessDenied"


@pytest.mark.parametrize("of", ["user", "role"])
def test_a_session_ends_with_its_user_or_role(rights: World, of: str) -> None:
    name = f"gone-{of}"
    keys = rights.session(name, EVERYTHING) if of == "user" else rights.assumed(name, EVERYTHING)
    who = rights.stand.client("sts", keys)
    assert name in who.get_caller_identity()["Arn"]
    if of == "user":
        for key in rights.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            rights.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        rights.iam.delete_user_policy(UserName=name, PolicyName="tenant")
        rights.iam.delete_user(UserName=name)
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            who.get_caller_identity()
        rights.user(name, EVERYTHING)
    else:
        rights.iam.delete_role_policy(RoleName=name, PolicyName="p")
        rights.iam.delete_role(RoleName=name)
        rights.role(name)
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        who.get_caller_identity()


def test_sessions_last_as_long_as_they_may(rights: World) -> None:
    arn = rights.role("short-lived")
    rights.iam.update_role(RoleName="short-lived", MaxSessionDuration=3600)
    sts = rights.stand.client("sts", rights.user("short-lived-user", EVERYTHING))
    as_role = {"RoleArn": arn, "RoleSessionName": "run1"}
    for seconds, why in ((7200, "MaxSessionDuration"), (90_000, "less than or equal to 43200")):
        with pytest.raises(ClientError, match=f"ValidationError.*{why}"):
            sts.assume_role(**as_role, DurationSeconds=seconds)
    chained = rights.stand.client("sts", keys_of(sts.assume_role(**as_role)["Credentials"]))
    rights.iam.put_role_policy(RoleName="short-lived", PolicyName="p", PolicyDocument=text(allow("sts:*")))
    rights.iam.update_role(RoleName="rights-trusting", MaxSessionDuration=43200)
    with pytest.raises(ClientError, match="role chaining"):
        chained.assume_role(RoleArn=ROLE, RoleSessionName="again", DurationSeconds=3601)
    with pytest.raises(ClientError, match="Roles may not be assumed by root accounts"):
        rights.stand.client("sts").assume_role(**as_role)
    with pytest.raises(ClientError, match="Cannot call GetSessionToken with session credentials"):
        chained.get_session_token()
    ends = [item.get_session_token(DurationSeconds=40_000)["Credentials"]["Expiration"] for item in (rights.sts, sts)]
    assert (ends[1] - ends[0]).total_seconds() > 30_000, "root's sessions last an hour"


def test_a_trust_policy_may_ask_for_more_than_a_name(rights: World) -> None:
    user = rights.user("outsider", EVERYTHING)
    conditions = {"StringEquals": {"sts:ExternalId": "course"}, "StringLike": {"sts:RoleSessionName": "run-*"}}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"{IAM}user/outsider"}}
    rights.iam.create_role(
        RoleName="conditional", AssumeRolePolicyDocument=text({**statement, "Condition": conditions})
    )
    call = {"RoleArn": f"{IAM}role/conditional", "RoleSessionName": "run-1", "ExternalId": "course"}
    assert outcome(rights.stand, user, ("sts", "assume_role", call)) == "allowed"
    for wrong in ({"RoleSessionName": "other"}, {"ExternalId": "no-course"}):
        assert outcome(rights.stand, user, ("sts", "assume_role", {**call, **wrong})) == "AccessDenied"


TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
BAD_TRUST: dict[str, Any] = {
    "not JSON": "x",
    "no statement": "{}",
    "a resource": text({**TRUST, "Resource": "*"}),
    "no principal": text({key: value for key, value in TRUST.items() if key != "Principal"}),
    "another service": text({**TRUST, "Action": "s3:GetObject"}),
    "nobody": text({**TRUST, "Principal": {"AWS": f"{IAM}user/nobody-of-this-name"}}),
    "an operator there is not": text({**TRUST, "Condition": {"StringEqual": {"aws:username": "x"}}}),
    "everybody but": text({**{key: TRUST[key] for key in ("Effect", "Action")}, "NotPrincipal": {"AWS": ACCOUNT}}),
}


@pytest.mark.parametrize("name", BAD_TRUST)
def test_a_malformed_trust_policy_is_refused(rights: World, name: str) -> None:
    for call, arguments in (
        (rights.iam.create_role, {"RoleName": "never", "AssumeRolePolicyDocument": BAD_TRUST[name]}),
        (rights.iam.update_assume_role_policy, {"RoleName": "rights-trusting", "PolicyDocument": BAD_TRUST[name]}),
    ):
        with pytest.raises(ClientError, match="MalformedPolicyDocument"):
            call(**arguments)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        rights.iam.get_role(RoleName="never")


def test_a_condition_misspelt_is_refused_and_not_false(rights: World) -> None:
    rights.user("misspelt")
    s3, misspelt = rights.stand.client("s3"), {"StringEqual": {"aws:username": "x"}}
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        rights.iam.put_user_policy(
            UserName="misspelt", PolicyName="p", PolicyDocument=text({**deny("s3:*"), "Condition": misspelt})
        )
    statement = {**deny("s3:GetObject", f"{S3}{PLACE}/*"), "Principal": "*", "Condition": misspelt}
    with pytest.raises(ClientError, match="MalformedPolicy"):
        s3.put_bucket_policy(Bucket=PLACE, Policy=text(statement))


def test_variables_are_text_in_a_policy_without_its_version(rights: World) -> None:
    keys = rights.user("versioned")
    statement = allow("s3:GetObject", StringEquals={"aws:username": "${aws:username}"})
    for document, got in (({"Statement": [statement]}, "AccessDenied"), (policy(statement), "allowed")):
        rights.iam.put_user_policy(UserName="versioned", PolicyName="tenant", PolicyDocument=json.dumps(document))
        assert outcome(rights.stand, keys, CALLS["s3"][1]) == got


def test_a_policy_that_is_not_there_is_not_attached(rights: World) -> None:
    rights.user("unattached")
    for arn in ("arn:aws:iam::aws:policy/AmazonS3FullAcess", f"{IAM}policy/none"):
        with pytest.raises(ClientError, match="NoSuchEntity"):
            rights.iam.attach_user_policy(UserName="unattached", PolicyArn=arn)
        with pytest.raises(ClientError, match="NoSuchEntity"):
            rights.iam.put_user_permissions_boundary(UserName="unattached", PermissionsBoundary=arn)


def test_awss_own_policies_for_ecr(rights: World) -> None:
    keys = rights.user("power")
    arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistry"
    put = ("ecr", "initiate_layer_upload", {"repositoryName": PLACE})
    for name, pushes in (("ReadOnly", "AccessDeniedException"), ("PowerUser", "allowed")):
        rights.iam.attach_user_policy(UserName="power", PolicyArn=arn + name)
        assert outcome(rights.stand, keys, CALLS["ecr"][1]) == "allowed"
        assert outcome(rights.stand, keys, put) == pushes
    assert (
        outcome(rights.stand, keys, ("ecr", "delete_repository", {"repositoryName": PLACE})) == "AccessDeniedException"
    )


def test_a_repositorys_policy_opens_it_to_a_user_by_api_and_protocol(rights: World) -> None:
    ecr, name = rights.stand.client("ecr"), {"repositoryName": "rights-shared"}
    ecr.create_repository(**name)
    with Client(rights.stand) as root:
        root.push("rights-shared", image({"a": b"1"}), "v1")
    keys = rights.user("invited", allow("ecr:GetAuthorizationToken"))
    pull = {"Effect": "Allow", "Principal": {"AWS": f"{IAM}user/invited"}, "Action": "ecr:BatchGetImage"}
    get: Call = ("ecr", "batch_get_image", {**name, "imageIds": [{"imageTag": "v1"}]})
    with Client(rights.stand, keys) as client:

        def both() -> tuple[str, int]:
            return outcome(rights.stand, keys, get), client.get("/v2/rights-shared/manifests/v1").status_code

        assert both() == ("AccessDeniedException", 403)
        ecr.set_repository_policy(**name, policyText=text(pull))
        assert both() == ("allowed", 200)
        assert client.post("/v2/rights-shared/blobs/uploads/").status_code == 403
        forbid = {**pull, "Effect": "Deny", "Principal": "*"}
        ecr.set_repository_policy(**name, policyText=text(pull, forbid))
        assert both() == ("AccessDeniedException", 403)
        assert "in a resource-based policy" in client.get("/v2/rights-shared/manifests/v1").text
    nobody = {**pull, "Principal": {"AWS": f"{IAM}user/nobody-of-this-name"}}
    with pytest.raises(ClientError, match="Principal not found"):
        ecr.set_repository_policy(**name, policyText=text(nobody))


def test_a_deny_for_all_but_one_denies_the_others(rights: World) -> None:
    s3, bucket = rights.stand.client("s3"), "rights-reserved"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    one, other = (rights.user(name, allow("s3:*")) for name in ("the-one", "the-other"))
    excepted = {
        **deny("s3:GetObject", f"{S3}{bucket}/*"),
        "NotPrincipal": {"AWS": [f"{IAM}user/the-one", f"{IAM}root"]},
    }
    get: Call = ("s3", "get_object", {"Bucket": bucket, "Key": "k"})
    assert outcome(rights.stand, other, get) == "allowed"
    s3.put_bucket_policy(Bucket=bucket, Policy=text(excepted))
    assert outcome(rights.stand, one, get) == "allowed"


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", 200), ("10.0.0.0/8", 403)])
def test_conditions_of_the_protocol_see_where_a_request_comes_from(rights: World, network: str, status: int) -> None:
    statement = allow("ecr:*", IpAddress={"aws:SourceIp": network})
    login = allow("ecr:GetAuthorizationToken")
    keys = tenant(rights.stand, f"from-{network.partition('.')[0]}", policy(statement, login))
    with Client(rights.stand, keys) as client:
        assert client.get(f"/v2/{PLACE}/tags/list").status_code == status


def test_a_simulation_tells_what_would_be(rights: World) -> None:
    rights.iam.create_user(UserName="simulated", Path="/course/")
    rights.iam.put_user_policy(
        UserName="simulated", PolicyName="p", PolicyDocument=text(allow("s3:Get*"), deny("s3:GetBucketAcl"))
    )
    told = rights.iam.simulate_principal_policy(
        PolicySourceArn=f"{IAM}user/course/simulated",
        ActionNames=["s3:GetObject", "s3:GetBucketAcl", "s3:PutObject"],
    )
    assert [item["EvalDecision"] for item in told["EvaluationResults"]] == ["allowed", "explicitDeny", "implicitDeny"]


def test_a_user_renamed_keeps_what_is_theirs(rights: World) -> None:
    keys = rights.user("maiden", CALLS["s3"][0])
    rights.iam.create_group(GroupName="renamed")
    rights.iam.add_user_to_group(GroupName="renamed", UserName="maiden")
    rights.iam.update_user(UserName="maiden", NewUserName="married", NewPath="/course/")
    assert rights.stand.client("sts", keys).get_caller_identity()["Arn"] == f"{IAM}user/course/married"
    assert outcome(rights.stand, keys, CALLS["s3"][1]) == "allowed"
    assert [item["GroupName"] for item in rights.iam.list_groups_for_user(UserName="married")["Groups"]] == ["renamed"]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        rights.iam.get_user(UserName="maiden")
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        rights.iam.update_user(UserName="married", NewUserName="misspelt")
