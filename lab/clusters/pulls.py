"""How the lab's own nodes pull images of the real ECR name: the stand-in's registry asks everybody who they are, at whatever address.

As on EKS nodes have an identity of their own, which may pull from every repository and do nothing else. Its password ends after twelve hours, so
every `up` asks for another and writes the files that the provider names (`Capabilities.logins`). kind's containerd reads its file at every pull,
the kubelet of k3s asks a program at every pull that prints its: nothing is started again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from lab.aws import resources
from lab.aws.clients import refused
from lab.clusters import render
from lab.tenancy import users
from lab.world import World

USER = "mlops-nodes"
"""The IAM user; on EKS it would be the nodes' role."""


def sign_in(world: World) -> None:
    """Write the nodes' login anew. Nothing where the cluster is told of none, or where the registry is AWS's own."""
    files = world.provider.capabilities.logins
    if not files or not world.aws.endpoint("ecr"):
        return
    if login := _login(world):
        address = world.provider.capabilities.host_address
        folder = world.settings.state / world.provider.name
        given = render.values(world.settings, folder=folder, address=address)
        basic = b64encode(login.encode()).decode()
        render.write(folder, files, {**given, "BASIC": basic, "PASSWORD": login.partition(":")[2]})


def _login(world: World) -> str:
    """`AWS:password`; empty in a dry run, whose user is not there yet."""
    from botocore.exceptions import BotoCoreError, ClientError

    known = users.read_keys(world.settings, USER)
    there = resources.inventory(world.root, world.settings)
    keys = resources.provide_user(world.root, USER, _policy(world), known, there=there)
    users.write_keys(world.settings, USER, keys)
    try:
        found = world.clients_with(keys)("ecr").get_authorization_token()["authorizationData"]
    except (BotoCoreError, ClientError) as error:
        raise refused(error) from None
    return b64decode(found[0]["authorizationToken"]).decode() if found else ""


def _policy(world: World) -> dict[str, object]:
    """AWS's own AmazonEC2ContainerRegistryPullOnly, narrowed to this account."""
    repositories = f"arn:aws:ecr:{world.settings.region}:{world.settings.account}:repository/*"
    pull = {"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Resource": repositories}
    login = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [pull, login]}
