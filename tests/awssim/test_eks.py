"""EKS: the lab's own cluster, and IAM users who sign in to it with tokens of ``aws eks get-token``."""

import base64
import json
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.awssim.running import ACCOUNT, REGION, Keys, Running, running, tenant

CLUSTER = "mlops-training-cluster"
NO_RIGHTS: dict[str, Any] = {"Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]}


def token(
    stand: Running, keys: Keys, *, cluster: str = CLUSTER, endpoint: str = "", action: str = "GetCallerIdentity"
) -> str:
    """What ``aws eks get-token`` makes."""
    url = f"{endpoint or stand.endpoint}/?Action={action}&Version=2011-06-15"
    request = AWSRequest(method="GET", url=url, headers={"x-k8s-aws-id": cluster})
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    SigV4QueryAuth(credentials, "sts", REGION, expires=60).add_auth(request)
    address = str(request.url)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(address.encode()).decode().rstrip("=")


def review(stand: Running, text: str) -> dict[str, Any]:
    body = json.dumps(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": text}}
    ).encode()
    request = urllib.request.Request(
        f"{stand.endpoint}/_awssim/eks/token-review", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        found = json.load(answer)
    assert found["kind"] == "TokenReview"
    return dict(found["status"])


def student(stand: Running, name: str, **entry: Any) -> Keys:
    keys = tenant(stand, name, NO_RIGHTS)
    stand.client("eks").create_access_entry(
        clusterName=CLUSTER, principalArn=f"arn:aws:iam::{ACCOUNT}:user/{name}", **entry
    )
    return keys


def test_the_cluster_is_the_labs(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    with running(tmp_path / "state", "--eks-endpoint", "https://127.0.0.1:16999", "--eks-ca", str(authority)) as stand:
        eks = stand.client("eks")
        assert eks.describe_cluster(name=CLUSTER)["cluster"]["certificateAuthority"]["data"] == ""
        authority.write_text("-----BEGIN CERTIFICATE-----\n")
        cluster = eks.describe_cluster(name=CLUSTER)["cluster"]
        assert (cluster["endpoint"], cluster["status"]) == ("https://127.0.0.1:16999", "ACTIVE")
        assert base64.b64decode(cluster["certificateAuthority"]["data"]).decode() == authority.read_text()
        assert eks.list_clusters()["clusters"] == [CLUSTER]
        with pytest.raises(ClientError, match="the one cluster"):
            eks.create_cluster(name="other", roleArn=f"arn:aws:iam::{ACCOUNT}:role/x", resourcesVpcConfig={})


def test_an_access_entry_makes_a_kubernetes_user(stand: Running) -> None:
    keys = student(stand, "eks-anna", username="user01@mlops.local", kubernetesGroups=["mlops:tenants"])
    status = review(stand, token(stand, keys))
    assert status["authenticated"] is True
    assert status["user"]["username"] == "user01@mlops.local"
    assert status["user"]["groups"] == ["system:authenticated", "mlops:tenants"]
    assert status["user"]["extra"]["arn"] == [f"arn:aws:iam::{ACCOUNT}:user/eks-anna"]


def test_a_token_signed_for_awss_own_host_is_good_too(stand: Running) -> None:
    keys = student(stand, "eks-ben", kubernetesGroups=["readers"])
    status = review(stand, token(stand, keys, endpoint=f"https://sts.{REGION}.amazonaws.com"))
    assert status["user"]["username"] == f"arn:aws:iam::{ACCOUNT}:user/eks-ben"


def test_tokens_that_are_not_good(stand: Running) -> None:
    keys = student(stand, "eks-cleo")
    good = token(stand, keys)
    wrong_secret = Keys(access_key_id=keys.access_key_id, secret_access_key="wrong")
    for bad in (
        token(stand, keys, cluster="other-cluster"),
        token(stand, wrong_secret),
        token(stand, Keys(access_key_id="test", secret_access_key="test")),
        token(stand, keys, action="GetSessionToken"),
        good[:-8] + "AAAAAAAA",
        "k8s-aws-v1.!!!",
        "k8s-aws-v1.",
        "",
    ):
        assert review(stand, bad)["authenticated"] is False
    assert review(stand, good)["authenticated"] is True


def test_nobody_without_an_access_entry(stand: Running) -> None:
    keys = tenant(stand, "eks-dora", NO_RIGHTS)
    status = review(stand, token(stand, keys))
    assert status == {
        "authenticated": False,
        "error": f"arn:aws:iam::{ACCOUNT}:user/eks-dora has no access entry in {CLUSTER}",
    }


def test_access_policies_become_groups_and_root_is_the_maker(stand: Running) -> None:
    keys, arn = student(stand, "eks-emil"), f"arn:aws:iam::{ACCOUNT}:user/eks-emil"
    policy = "arn:aws:eks::aws:cluster-access-policy/"
    scopes = {
        "AmazonEKSViewPolicy": {"type": "cluster"},
        "AmazonEKSEditPolicy": {"type": "namespace", "namespaces": ["kubeflow-user01"]},
    }
    for name, scope in scopes.items():
        stand.client("eks").associate_access_policy(
            clusterName=CLUSTER, principalArn=arn, policyArn=policy + name, accessScope=scope
        )
    groups = review(stand, token(stand, keys))["user"]["groups"]
    assert set(groups) == {
        "system:authenticated",
        "eks:access-policy:AmazonEKSViewPolicy",
        "eks:access-policy:AmazonEKSEditPolicy:kubeflow-user01",
    }
    assert "system:masters" in review(stand, token(stand, stand.root))["user"]["groups"]


@pytest.mark.parametrize("entry", [{"kubernetesGroups": ["system:masters"]}, {"username": "system:admin"}])
def test_an_entry_may_not_take_awss_names(stand: Running, entry: dict[str, Any]) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/nobody"
    with pytest.raises(ClientError, match="InvalidParameterException"):
        stand.client("eks").create_access_entry(clusterName=CLUSTER, principalArn=arn, **entry)


def test_an_entry_is_for_somebody_and_nodes_are_not_made(stand: Running) -> None:
    eks = stand.client("eks")
    for name in ("user/not-there", "role/not-there"):
        with pytest.raises(ClientError, match="invalid principal"):
            eks.create_access_entry(clusterName=CLUSTER, principalArn=f"arn:aws:iam::{ACCOUNT}:{name}")
    node = {"nodegroupName": "n", "subnets": ["s"], "nodeRole": f"arn:aws:iam::{ACCOUNT}:role/x"}
    with pytest.raises(ClientError, match="InvalidRequestException"):
        eks.create_nodegroup(clusterName=CLUSTER, **node)
    assert eks.list_nodegroups(clusterName=CLUSTER)["nodegroups"] == []


def test_a_token_that_names_another_host_is_never_sent_there(stand: Running) -> None:
    """The address in a token is the client's word: nothing listens there, or somebody else's server does, and nothing is asked of it."""
    keys = student(stand, "eks-faraway", kubernetesGroups=["readers"])
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.5)
        host = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        assert review(stand, token(stand, keys, endpoint=host))["authenticated"] is True
        assert review(stand, token(stand, keys, endpoint=host, cluster="other"))["authenticated"] is False
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_entries_survive_kill_and_deleting_one_ends_access(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        keys = student(stand, "kept", kubernetesGroups=["mlops:tenants"])
        stand.kill()
    with running(tmp_path / "state") as stand:
        assert review(stand, token(stand, keys))["authenticated"] is True
        stand.client("eks").delete_access_entry(clusterName=CLUSTER, principalArn=f"arn:aws:iam::{ACCOUNT}:user/kept")
        assert review(stand, token(stand, keys))["authenticated"] is False


@pytest.mark.aws
@pytest.mark.skipif(not shutil.which("aws"), reason="no aws CLI on PATH")
def test_the_cli_with_the_labs_endpoint_in_its_environment(stand: Running, tmp_path: Path) -> None:
    keys = student(stand, "eks-cli", kubernetesGroups=["mlops:tenants"])
    policy = {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "eks:DescribeCluster",
                "Resource": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}",
            }
        ]
    }
    stand.client("iam").put_user_policy(UserName="eks-cli", PolicyName="describe", PolicyDocument=json.dumps(policy))
    environment = {**stand.environment(keys), "KUBECONFIG": str(tmp_path / "config")}

    def aws(*arguments: str) -> str:
        done = subprocess.run(
            ["aws", "eks", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    aws("update-kubeconfig", "--name", CLUSTER)
    assert "https://127.0.0.1:16443" in (tmp_path / "config").read_text()
    made = json.loads(aws("get-token", "--cluster-name", CLUSTER))["status"]["token"]
    assert review(stand, made)["user"]["groups"] == ["system:authenticated", "mlops:tenants"]
