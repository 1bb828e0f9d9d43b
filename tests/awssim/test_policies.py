"""A table of calls that policies allow and deny, made for real; and the documents that are refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.awssim.running import ACCOUNT, REGION, Keys, Running, tenant

MINE, OTHER = "table-mine", "table-other"
S3, ECR, IAM = "arn:aws:s3:::", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/", f"arn:aws:iam::{ACCOUNT}:"
Statement = dict[str, Any]
Call = tuple[str, str, dict[str, Any]]


def allow(action: Any, resource: Any = "*", **condition: Any) -> Statement:
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def deny(action: Any, resource: Any = "*", **condition: Any) -> Statement:
    return {**allow(action, resource, **condition), "Effect": "Deny"}


EVERYTHING = allow("*")
PUT = ("s3", "put_object", {"Bucket": MINE, "Key": "a/k", "Body": b"1"})
PUT_OTHER = ("s3", "put_object", {"Bucket": OTHER, "Key": "a/k", "Body": b"1"})
GET = ("s3", "get_object", {"Bucket": MINE, "Key": "a/k"})
GET_SLASH = ("s3", "get_object", {"Bucket": MINE, "Key": "a//k"})
LIST = ("s3", "list_objects_v2", {"Bucket": MINE})
LIST_A = ("s3", "list_objects_v2", {"Bucket": MINE, "Prefix": "a/"})
LIST_B = ("s3", "list_objects_v2", {"Bucket": MINE, "Prefix": "b/"})
COPY = ("s3", "copy_object", {"Bucket": MINE, "Key": "c", "CopySource": f"{OTHER}/a/k"})
DELETE_BOTH = ("s3", "delete_objects", {"Bucket": MINE, "Delete": {"Objects": [{"Key": "a/x"}, {"Key": "b/x"}]}})
BUCKETS: Call = ("s3", "list_buckets", {})
POLICY = ("s3", "get_bucket_versioning", {"Bucket": MINE})
DESCRIBE = ("ecr", "describe_repositories", {"repositoryNames": [MINE]})
DESCRIBE_BOTH = ("ecr", "describe_repositories", {"repositoryNames": [MINE, OTHER]})
DESCRIBE_ALL: Call = ("ecr", "describe_repositories", {})
IMAGES = ("ecr", "list_images", {"repositoryName": OTHER})
LOGIN: Call = ("ecr", "get_authorization_token", {})
WHO: Call = ("sts", "get_caller_identity", {})
USERS: Call = ("iam", "list_users", {})
OWN_KEYS: Call = ("iam", "list_access_keys", {})
CLUSTER = ("eks", "describe_cluster", {"name": "mlops-training-cluster"})

TAG = ("s3", "put_object_tagging", {"Bucket": MINE, "Key": "a/k", "Tagging": {"TagSet": []}})
DELETE = ("s3", "delete_object", {"Bucket": MINE, "Key": "gone"})
HEAD = ("s3", "head_object", {"Bucket": MINE, "Key": "a/k"})
LOCATION = ("s3", "get_bucket_location", {"Bucket": MINE})
UPLOAD = ("s3", "create_multipart_upload", {"Bucket": MINE, "Key": "parts"})
OPEN_UP = ("s3", "delete_public_access_block", {"Bucket": MINE})
MAKE_USER = ("iam", "create_user", {"UserName": "made-by-mine"})
PROMOTE = (
    "iam",
    "attach_user_policy",
    {"UserName": "mine", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
)
ASSUME = ("sts", "assume_role", {"RoleArn": f"{IAM}role/any", "RoleSessionName": "run1"})
PUT_IMAGE = ("ecr", "put_image", {"repositoryName": MINE, "imageManifest": "{}"})
DROP = ("ecr", "delete_repository", {"repositoryName": OTHER})
VERSIONS = ("s3", "list_object_versions", {"Bucket": MINE})
SOME = ("s3", "list_objects_v2", {"Bucket": MINE, "MaxKeys": 10})
FOLDERS = ("s3", "list_objects_v2", {"Bucket": MINE, "Delimiter": "/"})
SEALED = ("s3", "put_object", {"Bucket": MINE, "Key": "a/k", "Body": b"1", "ServerSideEncryption": "AES256"})
GET_TAGGED = ("s3", "get_object", {"Bucket": MINE, "Key": "tagged"})
GET_VERSION = ("s3", "get_object", {"Bucket": MINE, "Key": "a/k", "VersionId": "null"})
GET_POLICY = ("s3", "get_bucket_location", {"Bucket": MINE})
MAKE_BUCKET = ("s3", "create_bucket", {"Bucket": OTHER, "CreateBucketConfiguration": {"LocationConstraint": REGION}})
DROP_BUCKET = ("s3", "delete_bucket", {"Bucket": OTHER})
SET_VERSIONS = ("s3", "put_bucket_versioning", {"Bucket": MINE, "VersioningConfiguration": {"Status": "Suspended"}})
LIST_UPLOADS = ("s3", "list_multipart_uploads", {"Bucket": MINE})
NEW_REPOSITORY = ("ecr", "create_repository", {"repositoryName": MINE, "tags": [{"Key": "team", "Value": "a"}]})
TAG_REPOSITORY = ("ecr", "tag_resource", {"resourceArn": ECR + MINE, "tags": [{"Key": "team", "Value": "a"}]})
FINDINGS = ("ecr", "describe_image_scan_findings", {"repositoryName": MINE, "imageId": {"imageTag": "none"}})
ME: Call = ("iam", "get_user", {})
NEW_KEY: Call = ("iam", "create_access_key", {"UserName": "somebody-else"})
GROUPS = ("iam", "list_groups_for_user", {"UserName": "mine"})
JOIN = ("iam", "add_user_to_group", {"UserName": "mine", "GroupName": "admins"})
NEW_ROLE = ("iam", "create_role", {"RoleName": "made-by-mine", "AssumeRolePolicyDocument": "{}"})
FEDERATE = ("sts", "get_federation_token", {"Name": "other"})
SESSION: Call = ("sts", "get_session_token", {})
TRUSTED = ("sts", "assume_role", {"RoleArn": f"{IAM}role/table-role", "RoleSessionName": "run1"})
CLUSTERS: Call = ("eks", "list_clusters", {})
ENTRIES = ("eks", "list_access_entries", {"clusterName": "mlops-training-cluster"})
GRANT = ("eks", "create_access_entry", {"clusterName": "mlops-training-cluster", "principalArn": f"{IAM}user/mine"})
CLUSTER_ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/"

TABLE: list[tuple[str, list[Statement], Call, bool]] = [
    ("nothing is allowed by default", [], GET, False),
    ("nothing is allowed by default: ECR", [], DESCRIBE, False),
    ("nothing is allowed by default: IAM", [], USERS, False),
    ("nothing is allowed by default: EKS", [], CLUSTER, False),
    ("everyone may ask who they are", [deny("sts:*")], WHO, True),
    ("everything", [EVERYTHING], PUT, True),
    ("a deny wins", [EVERYTHING, deny("s3:PutObject")], PUT, False),
    ("a deny elsewhere does not", [EVERYTHING, deny("s3:PutObject", f"{S3}{OTHER}/*")], PUT, True),
    ("an object's resource is not its bucket", [allow("s3:*", f"{S3}{MINE}")], PUT, False),
    ("a bucket's resource is not its objects", [allow("s3:*", f"{S3}{MINE}/*")], LIST, False),
    ("objects by prefix", [allow("s3:PutObject", f"{S3}{MINE}/a/*")], PUT, True),
    ("objects of another prefix", [allow("s3:PutObject", f"{S3}{MINE}/b/*")], PUT, False),
    ("objects of another bucket", [allow("s3:*", [f"{S3}{MINE}", f"{S3}{MINE}/*"])], PUT_OTHER, False),
    ("a bucket whose name begins alike", [allow("s3:*", f"{S3}table-m*")], PUT, True),
    ("resources keep case", [allow("s3:*", f"{S3}{MINE.upper()}/*")], PUT, False),
    ("actions do not", [allow("S3:putobject", f"{S3}{MINE}/*")], PUT, True),
    ("an action with a wildcard", [allow("s3:Put*")], PUT, True),
    ("an action with a wildcard, another", [allow("s3:Get*")], PUT, False),
    ("a question mark is one character", [allow("s3:PutObjec?")], PUT, True),
    ("NotAction", [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], PUT, True),
    ("NotAction, named", [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], PUT, False),
    ("NotResource", [{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{S3}{OTHER}/*"}], PUT, True),
    ("NotResource, named", [{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{S3}{MINE}/*"}], PUT, False),
    ("an empty part of a key counts", [allow("s3:GetObject", f"{S3}{MINE}/a/k")], GET_SLASH, False),
    ("an empty part of a key, named", [allow("s3:GetObject", f"{S3}{MINE}/a//k")], GET_SLASH, True),
    ("listing by prefix", [allow("s3:ListBucket", f"{S3}{MINE}", StringLike={"s3:prefix": "a/*"})], LIST_A, True),
    ("listing another prefix", [allow("s3:ListBucket", f"{S3}{MINE}", StringLike={"s3:prefix": "a/*"})], LIST_B, False),
    ("listing without a prefix", [allow("s3:ListBucket", f"{S3}{MINE}", StringLike={"s3:prefix": "a/*"})], LIST, False),
    ("all buckets", [allow("s3:ListAllMyBuckets")], BUCKETS, True),
    ("all buckets need more than one bucket", [allow("s3:*", f"{S3}{MINE}")], BUCKETS, False),
    ("bucket settings", [allow("s3:GetBucketVersioning", f"{S3}{MINE}")], POLICY, True),
    ("bucket settings are not objects'", [allow("s3:GetObject", f"{S3}{MINE}/*")], POLICY, False),
    ("a copy reads its source too", [allow("s3:PutObject", f"{S3}{MINE}/*")], COPY, False),
    ("a copy with both", [allow("s3:PutObject", f"{S3}{MINE}/*"), allow("s3:GetObject", f"{S3}{OTHER}/*")], COPY, True),
    ("a batch delete is checked key by key", [allow("s3:DeleteObject", f"{S3}{MINE}/a/*")], DELETE_BOTH, False),
    ("a batch delete of one's own", [allow("s3:DeleteObject", f"{S3}{MINE}/*")], DELETE_BOTH, True),
    ("the caller's name in a resource", [allow("s3:*", S3 + "table-${aws:username}/*")], PUT, True),
    ("the caller's name in a deny", [EVERYTHING, deny("s3:*", S3 + "table-${aws:username}/*")], PUT, False),
    ("an unknown variable matches nothing", [allow("s3:*", S3 + "${aws:PrincipalTag/team}*")], PUT, False),
    ("a variable's default", [allow("s3:*", S3 + "${aws:PrincipalTag/team, 'table-mine'}/*")], PUT, True),
    ("a variable in a condition", [allow("s3:*", StringEquals={"aws:username": "${aws:username}"})], PUT, True),
    ("by address", [allow("s3:*", IpAddress={"aws:SourceIp": "127.0.0.0/8"})], PUT, True),
    ("by another address", [allow("s3:*", IpAddress={"aws:SourceIp": "10.0.0.0/8"})], PUT, False),
    ("by region", [allow("ecr:*", StringEquals={"aws:RequestedRegion": REGION})], DESCRIBE, True),
    ("by another region", [allow("ecr:*", StringEquals={"aws:RequestedRegion": "eu-west-1"})], DESCRIBE, False),
    ("TLS only", [EVERYTHING, deny("*", Bool={"aws:SecureTransport": "false"})], PUT, False),
    ("before a day", [allow("s3:*", DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"})], PUT, False),
    (
        "two conditions, one false",
        [allow("s3:*", Bool={"aws:SecureTransport": "true"}, StringLike={"aws:username": "*"})],
        PUT,
        False,
    ),
    ("a missing key with IfExists", [allow("s3:*", StringEqualsIfExists={"aws:PrincipalTag/team": "x"})], PUT, True),
    ("a repository", [allow("ecr:DescribeRepositories", f"{ECR}{MINE}")], DESCRIBE, True),
    ("every named repository is checked", [allow("ecr:DescribeRepositories", f"{ECR}{MINE}")], DESCRIBE_BOTH, False),
    ("all repositories", [allow("ecr:DescribeRepositories", f"{ECR}{MINE}")], DESCRIBE_ALL, False),
    ("another repository", [allow("ecr:*", f"{ECR}{MINE}*")], IMAGES, False),
    ("a login is for all", [allow("ecr:GetAuthorizationToken")], LOGIN, True),
    ("a login is not of one repository", [allow("ecr:*", f"{ECR}{MINE}")], LOGIN, False),
    ("one's own keys", [allow("iam:ListAccessKeys", IAM + "user/${aws:username}")], OWN_KEYS, True),
    ("another's keys", [allow("iam:ListAccessKeys", f"{IAM}user/somebody")], OWN_KEYS, False),
    ("a cluster", [allow("eks:DescribeCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-*")], CLUSTER, True),
    ("a key's own tagging", [allow("s3:PutObject", f"{S3}{MINE}/*")], TAG, False),
    ("a key's own tagging, allowed", [allow("s3:PutObjectTagging", f"{S3}{MINE}/*")], TAG, True),
    ("deleting is not putting", [allow(["s3:PutObject", "s3:GetObject"], f"{S3}{MINE}/*")], DELETE, False),
    ("deleting", [allow("s3:DeleteObject", f"{S3}{MINE}/*")], DELETE, True),
    ("a head is a get", [allow("s3:GetObject", f"{S3}{MINE}/a/*")], HEAD, True),
    ("a head of what one may not get", [allow("s3:ListBucket", f"{S3}{MINE}")], HEAD, False),
    ("where a bucket is", [allow("s3:GetBucketLocation", f"{S3}{MINE}")], LOCATION, True),
    ("where another bucket is", [allow("s3:GetBucketLocation", f"{S3}{OTHER}")], LOCATION, False),
    ("starting an upload is putting", [allow("s3:PutObject", f"{S3}{MINE}/*")], UPLOAD, True),
    ("starting an upload elsewhere", [allow("s3:PutObject", f"{S3}{OTHER}/*")], UPLOAD, False),
    ("a bucket policy is not an object", [allow("s3:PutObject", [f"{S3}{MINE}", f"{S3}{MINE}/*"])], OPEN_UP, False),
    ("public access blocks", [allow("s3:PutBucketPublicAccessBlock", f"{S3}{OTHER}")], OPEN_UP, False),
    ("prefixes by name", [allow("s3:ListBucket", f"{S3}{MINE}", StringEquals={"s3:prefix": "a/"})], LIST_A, True),
    ("a deny by prefix", [EVERYTHING, deny("s3:ListBucket", StringNotLike={"s3:prefix": "a/*"})], LIST_B, False),
    ("a deny of another prefix", [EVERYTHING, deny("s3:ListBucket", StringNotLike={"s3:prefix": "a/*"})], LIST_A, True),
    (
        "a key that is absent, NotEquals",
        [EVERYTHING, deny("s3:*", StringNotEquals={"aws:PrincipalTag/t": "x"})],
        PUT,
        False,
    ),
    ("a key that is absent, Null", [allow("s3:*", Null={"aws:PrincipalTag/t": "true"})], PUT, True),
    ("by the caller's ARN", [allow("s3:*", ArnLike={"aws:PrincipalArn": f"{IAM}user/mi*"})], PUT, True),
    ("by another's ARN", [allow("s3:*", ArnEquals={"aws:PrincipalArn": f"{IAM}user/other"})], PUT, False),
    ("by account", [allow("s3:*", StringEquals={"aws:PrincipalAccount": ACCOUNT})], PUT, True),
    ("one of several values", [allow("s3:*", StringEquals={"aws:username": ["x", "mine"]})], PUT, True),
    ("ignoring case", [allow("s3:*", StringEqualsIgnoreCase={"aws:username": "MINE"})], PUT, True),
    ("making a user", [allow("iam:CreateUser", f"{IAM}user/class/*")], MAKE_USER, False),
    ("giving oneself rights", [allow("iam:Get*"), allow("iam:List*")], PROMOTE, False),
    ("assuming a role needs the caller's policy", [allow("s3:*")], ASSUME, False),
    ("pulling is not pushing", [allow("ecr:BatchGetImage", f"{ECR}{MINE}")], PUT_IMAGE, False),
    ("deleting a repository", [allow("ecr:DeleteRepository", f"{ECR}{MINE}")], DROP, False),
    ("few keys", [allow("s3:ListBucket", NumericLessThanEquals={"s3:max-keys": "10"})], SOME, True),
    ("more keys", [allow("s3:ListBucket", NumericLessThan={"s3:max-keys": "10"})], SOME, False),
    ("by delimiter", [allow("s3:ListBucket", StringEquals={"s3:delimiter": "/"})], FOLDERS, True),
    ("without the delimiter", [allow("s3:ListBucket", StringEquals={"s3:delimiter": "/"})], LIST, False),
    ("versions are listed apart", [allow("s3:ListBucket", f"{S3}{MINE}")], VERSIONS, False),
    ("versions listed", [allow("s3:ListBucketVersions", f"{S3}{MINE}")], VERSIONS, True),
    ("a version is read apart", [allow("s3:GetObject", f"{S3}{MINE}/*")], GET_VERSION, False),
    ("a version read", [allow("s3:GetObjectVersion", f"{S3}{MINE}/*")], GET_VERSION, True),
    (
        "encrypted only",
        [EVERYTHING, deny("s3:PutObject", Null={"s3:x-amz-server-side-encryption": "true"})],
        PUT,
        False,
    ),
    ("encrypted", [EVERYTHING, deny("s3:PutObject", Null={"s3:x-amz-server-side-encryption": "true"})], SEALED, True),
    ("by an object's tag", [allow("s3:GetObject", StringEquals={"s3:ExistingObjectTag/team": "a"})], GET_TAGGED, True),
    ("by another tag", [allow("s3:GetObject", StringEquals={"s3:ExistingObjectTag/team": "b"})], GET_TAGGED, False),
    ("making a bucket", [allow("s3:*", f"{S3}{MINE}*")], MAKE_BUCKET, False),
    ("deleting a bucket", [allow("s3:*", f"{S3}{MINE}*")], DROP_BUCKET, False),
    ("setting is not getting", [allow("s3:GetBucketVersioning")], SET_VERSIONS, False),
    ("uploads are listed apart", [allow("s3:ListBucket")], LIST_UPLOADS, False),
    ("uploads listed", [allow("s3:ListBucketMultipartUploads", f"{S3}{MINE}")], LIST_UPLOADS, True),
    ("by one's own tag", [allow("s3:PutObject", StringEquals={"aws:PrincipalTag/course": "mlops"})], PUT, True),
    ("by one's own tag, another", [allow("s3:PutObject", StringEquals={"aws:PrincipalTag/course": "x"})], PUT, False),
    ("one's tag in a resource", [allow("s3:*", S3 + "table-${aws:PrincipalTag/mine}/*")], PUT, True),
    ("one's name between others", [allow("s3:*", S3 + "*-${aws:username}/?/*")], PUT, True),
    ("not from here", [EVERYTHING, deny("*", NotIpAddress={"aws:SourceIp": ["10.0.0.0/8", "192.0.2.1"]})], PUT, False),
    ("after a day", [allow("s3:*", DateGreaterThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"})], PUT, True),
    ("not a session", [allow("s3:*", Null={"aws:TokenIssueTime": "true"})], PUT, True),
    (
        "two keys of one operator",
        [allow("s3:*", StringLike={"aws:username": "m*", "aws:PrincipalTag/x": "*"})],
        PUT,
        False,
    ),
    ("by kind of caller", [allow("s3:*", StringEquals={"aws:PrincipalType": "User"})], PUT, True),
    (
        "a repository of one's own tag",
        [allow("ecr:CreateRepository", StringEquals={"aws:RequestTag/team": "b"})],
        NEW_REPOSITORY,
        False,
    ),
    (
        "no other tags",
        [allow("ecr:CreateRepository", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["x"]}})],
        NEW_REPOSITORY,
        False,
    ),
    ("tagging by its ARN", [allow("ecr:TagResource", f"{ECR}{MINE}")], TAG_REPOSITORY, True),
    ("tagging another", [allow("ecr:TagResource", f"{ECR}{OTHER}")], TAG_REPOSITORY, False),
    ("findings are not images", [allow("ecr:DescribeImages")], FINDINGS, False),
    ("a deny of one repository", [EVERYTHING, deny("ecr:*", f"{ECR}{OTHER}")], IMAGES, False),
    ("a repository by its tag", [allow("ecr:ListImages", StringEquals={"aws:ResourceTag/kept": "yes"})], IMAGES, True),
    (
        "a repository by another tag",
        [allow("ecr:ListImages", StringEquals={"aws:ResourceTag/kept": "no"})],
        IMAGES,
        False,
    ),
    ("oneself", [allow("iam:GetUser", IAM + "user/${aws:username}")], ME, True),
    ("nobody else's key", [allow("iam:*", IAM + "user/${aws:username}")], NEW_KEY, False),
    ("one's groups", [allow("iam:ListGroupsForUser", f"{IAM}user/mine")], GROUPS, True),
    ("joining a group", [allow("iam:*", f"{IAM}user/mine")], JOIN, False),
    ("making a role", [allow("iam:CreateRole", f"{IAM}role/other-*")], NEW_ROLE, False),
    ("a role that trusts", [allow("sts:AssumeRole", f"{IAM}role/table-*")], TRUSTED, True),
    ("a role that trusts, another named", [allow("sts:AssumeRole", f"{IAM}role/x")], TRUSTED, False),
    ("a role that trusts, denied", [EVERYTHING, deny("sts:AssumeRole", f"{IAM}role/table-role")], TRUSTED, False),
    ("federation", [allow("s3:*")], FEDERATE, False),
    ("a session of one's own", [], SESSION, True),
    ("clusters", [allow("eks:ListClusters")], CLUSTERS, True),
    ("clusters are not one", [allow("eks:*", f"{CLUSTER_ARN}mlops-training-cluster")], CLUSTERS, False),
    ("entries", [allow("eks:ListAccessEntries", f"{CLUSTER_ARN}*")], ENTRIES, True),
    ("granting", [allow(["eks:Describe*", "eks:List*"])], GRANT, False),
    ("another cluster", [allow("eks:DescribeCluster", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod")], CLUSTER, False),
]


def outcome(stand: Running, keys: Keys, call: Call) -> str:
    service, operation, arguments = call
    try:
        answer = getattr(stand.client(service, keys), operation)(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    failed = [item["Code"] for item in answer.get("Errors", [])]
    return failed[0] if failed else "allowed"


@pytest.fixture(scope="module")
def mine(stand: Running) -> Keys:
    s3, ecr = stand.client("s3"), stand.client("ecr")
    for name in (MINE, OTHER):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        ecr.create_repository(repositoryName=name)
        for key in ("a/k", "a//k"):
            s3.put_object(Bucket=name, Key=key, Body=b"1")
    s3.put_object(Bucket=MINE, Key="tagged", Body=b"1", Tagging="team=a")
    ecr.tag_resource(resourceArn=ECR + OTHER, tags=[{"Key": "kept", "Value": "yes"}])
    iam = stand.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    iam.create_role(RoleName="table-role", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    keys = tenant(stand, "mine", {"Statement": [deny("s3:GetObject", f"{S3}nothing")]})
    iam.tag_user(UserName="mine", Tags=[{"Key": "course", "Value": "mlops"}, {"Key": "mine", "Value": "mine"}])
    return keys


@pytest.mark.parametrize(("statements", "call", "allowed"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_the_table(stand: Running, mine: Keys, statements: list[Statement], call: Call, allowed: bool) -> None:
    document = {"Version": "2012-10-17", "Statement": statements or [deny("s3:GetObject", f"{S3}nothing/*")]}
    stand.client("iam").put_user_policy(UserName="mine", PolicyName="tenant", PolicyDocument=json.dumps(document))
    got = outcome(stand, mine, call)
    assert got == "allowed" if allowed else got.startswith("AccessDenied") or (got == "403" and call is HEAD), got


def test_groups_managed_policies_and_boundaries(stand: Running) -> None:
    iam, keys = stand.client("iam"), tenant(stand, "grouped", {"Statement": [deny("iam:*")]})
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]})
    arn = iam.create_policy(PolicyName="buckets", PolicyDocument=document)["Policy"]["Arn"]
    iam.create_group(GroupName="students")
    iam.attach_group_policy(GroupName="students", PolicyArn=arn)
    assert outcome(stand, keys, BUCKETS) == "AccessDenied"
    iam.add_user_to_group(GroupName="students", UserName="grouped")
    assert outcome(stand, keys, BUCKETS) == "allowed"
    iam.remove_user_from_group(GroupName="students", UserName="grouped")
    iam.attach_user_policy(UserName="grouped", PolicyArn=arn)
    assert outcome(stand, keys, BUCKETS) == "allowed"
    other = iam.create_policy(PolicyName="boundary", PolicyDocument=document.replace("ListAllMyBuckets", "GetObject"))[
        "Policy"
    ]["Arn"]
    iam.put_user_permissions_boundary(UserName="grouped", PermissionsBoundary=other)
    assert outcome(stand, keys, BUCKETS) == "AccessDenied"


def test_an_assumed_role_has_the_roles_rights_only(stand: Running) -> None:
    iam, arn = stand.client("iam"), f"{IAM}role/trainer"
    keys = tenant(stand, "assumer", {"Statement": [allow("sts:AssumeRole", arn), allow("ecr:*")]})
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"{IAM}user/assumer"}}],
    }
    iam.create_role(RoleName="trainer", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(
        RoleName="trainer", PolicyName="p", PolicyDocument=json.dumps({"Statement": [allow("s3:ListAllMyBuckets")]})
    )
    made = stand.client("sts", keys).assume_role(RoleArn=arn, RoleSessionName="run1", DurationSeconds=900)[
        "Credentials"
    ]
    session = Keys(
        access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"], session_token=made["SessionToken"]
    )
    assert (
        stand.client("sts", session).get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/run1"
    )
    assert outcome(stand, session, BUCKETS) == "allowed"
    assert outcome(stand, session, LOGIN) == "AccessDeniedException"
    other = tenant(stand, "not-trusted", {"Statement": [allow("sts:*")]})
    assert outcome(stand, other, ("sts", "assume_role", {"RoleArn": arn, "RoleSessionName": "run1"})) == "AccessDenied"


def bucket_policy(stand: Running, bucket: str, *statements: Statement) -> None:
    stand.client("s3").put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    )


def test_bucket_policies_allow_and_deny_users(stand: Running) -> None:
    s3, keys = stand.client("s3"), tenant(stand, "guest", {"Statement": [deny("iam:*")]})
    s3.create_bucket(Bucket="shared-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="shared-bucket", Key="k", Body=b"1")
    get = ("s3", "get_object", {"Bucket": "shared-bucket", "Key": "k"})
    assert outcome(stand, keys, get) == "AccessDenied"
    guest = {"Principal": {"AWS": f"{IAM}user/guest"}}
    bucket_policy(stand, "shared-bucket", {**allow("s3:GetObject", f"{S3}shared-bucket/*"), **guest})
    assert outcome(stand, keys, get) == "allowed"
    bucket_policy(stand, "shared-bucket", {**deny("s3:GetObject", f"{S3}shared-bucket/*"), **guest})
    stand.client("iam").put_user_policy(
        UserName="guest", PolicyName="tenant", PolicyDocument=json.dumps({"Statement": [allow("s3:*")]})
    )
    assert outcome(stand, keys, get) == "AccessDenied"


def anonymous(stand: Running, path: str) -> int:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{stand.endpoint}/{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_strangers_come_in_only_where_policy_and_public_access_block_let_them(stand: Running) -> None:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket="public-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="public-bucket", Key="k", Body=b"1")
    everyone = {**allow("s3:GetObject", f"{S3}public-bucket/*"), "Principal": "*"}
    with pytest.raises(ClientError, match="BlockPublicPolicy"):
        bucket_policy(stand, "public-bucket", everyone)
    s3.delete_public_access_block(Bucket="public-bucket")
    assert anonymous(stand, "public-bucket/k") == 403
    bucket_policy(stand, "public-bucket", everyone)
    assert s3.get_bucket_policy_status(Bucket="public-bucket")["PolicyStatus"]["IsPublic"] is True
    assert anonymous(stand, "public-bucket/k") == 200
    assert anonymous(stand, "public-bucket?list-type=2") == 403
    assert anonymous(stand, "public-bucket?policy") == 403
    s3.put_public_access_block(Bucket="public-bucket", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert anonymous(stand, "public-bucket/k") == 403


def test_a_new_bucket_blocks_all_public_access(stand: Running) -> None:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket="new-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert all(s3.get_public_access_block(Bucket="new-bucket")["PublicAccessBlockConfiguration"].values())


GOOD = {**allow("s3:GetObject", f"{S3}documents/*"), "Principal": {"AWS": ACCOUNT}}
BAD_BUCKET_POLICIES: dict[str, Any] = {
    "not JSON": "x",
    "not an object": [],
    "no statement": {"Version": "2012-10-17"},
    "a wrong version": {"Version": "2012-10-18", "Statement": [GOOD]},
    "no principal": {"Statement": [allow("s3:GetObject", f"{S3}documents/*")]},
    "another service's action": {"Statement": [{**GOOD, "Action": "ecr:PutImage"}]},
    "another bucket": {"Statement": [{**GOOD, "Resource": f"{S3}other/*"}]},
    "a wrong effect": {"Statement": [{**GOOD, "Effect": "Permit"}]},
    "a user who does not exist": {"Statement": [{**GOOD, "Principal": {"AWS": f"{IAM}user/nobody"}}]},
    "an unknown field": {"Statement": [{**GOOD, "Actions": "s3:GetObject"}]},
}
RULE = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/>{}</Rule></LifecycleConfiguration>"
BAD_LIFECYCLES = {
    "not XML": "x",
    "another document": "<a/>",
    "no rules": "<LifecycleConfiguration/>",
    "no action": RULE.format(""),
    "moved after its end": RULE.format(
        "<Expiration><Days>5</Days></Expiration><Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>"
    ),
    "moved too early": RULE.format("<Transition><Days>3</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"),
    "an age of a marker": RULE.format(
        "<Expiration><Days>5</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
    ),
    "a long name": RULE.format(f"<ID>{'x' * 256}</ID><Expiration><Days>5</Days></Expiration>"),
    "no number": RULE.format("<Expiration><Days>x</Days></Expiration>"),
}
BAD_IAM_POLICIES: list[Any] = [
    "x", {"Statement": []}, {"Statement": [allow("s3PutObject")]}, {"Statement": [allow("s3:*", "mybucket")]},
    {"Statement": [{**allow("s3:*"), "Principal": "*"}]}, {"Version": "2020-01-01", "Statement": [allow("s3:*")]},
    {"Statement": [{**allow("s3:*"), "Resources": "*"}]},
]  # fmt: skip


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def documents(stand: Running) -> Any:
    s3 = stand.client("s3")
    s3.create_bucket(Bucket="documents", CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


@pytest.mark.parametrize("name", BAD_BUCKET_POLICIES)
def test_a_malformed_bucket_policy_is_refused(documents: Any, name: str) -> None:
    value = BAD_BUCKET_POLICIES[name]
    text = value if isinstance(value, str) else json.dumps(value)
    assert code(documents.put_bucket_policy, Bucket="documents", Policy=text) == "MalformedPolicy"
    assert code(documents.get_bucket_policy, Bucket="documents") == "NoSuchBucketPolicy"


@pytest.mark.parametrize("name", BAD_LIFECYCLES)
def test_a_malformed_lifecycle_configuration_is_refused(stand: Running, documents: Any, name: str) -> None:
    from tests.awssim.test_signature import call, signed

    status, text = call(stand, signed(stand, "s3", "PUT", "/documents?lifecycle=", BAD_LIFECYCLES[name]))
    assert status == 400, text
    assert code(documents.get_bucket_lifecycle_configuration, Bucket="documents") == "NoSuchLifecycleConfiguration"


@pytest.mark.parametrize("policy", BAD_IAM_POLICIES)
def test_a_malformed_iam_policy_is_refused(stand: Running, mine: Keys, policy: Any) -> None:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    assert (
        code(stand.client("iam").put_user_policy, UserName="mine", PolicyName="bad", PolicyDocument=text)
        == "MalformedPolicyDocument"
    )


def test_a_tag_given_twice_and_a_name_awss_own_are_refused(documents: Any) -> None:
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert code(documents.put_bucket_tagging, Bucket="documents", Tagging=twice) == "InvalidTag"
    for name in ("xn--course", "course-s3alias", "sthree-course"):
        where = {"LocationConstraint": REGION}
        assert code(documents.create_bucket, Bucket=name, CreateBucketConfiguration=where) == "InvalidBucketName"
