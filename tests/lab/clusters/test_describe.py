"""`aws eks describe-cluster` tells of the cluster that the lab is on, whichever provider made it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from lab.aws.clients import Clients
from lab.aws.standin import StandIn
from lab.host.files import write_private
from lab.kubeconfig import Context
from lab.settings import load
from tests.lab.aws.test_localstack import free_port
from tests.lab.test_settings import MINIMAL, write


def described(aws: StandIn) -> tuple[str, str]:
    eks = Clients(aws, aws.root(), aws.settings.region)("eks")
    found = eks.describe_cluster(name=aws.settings.eks_cluster)["cluster"]
    return found["endpoint"], found["certificateAuthority"]["data"]


def kubeconfig(state: Path, authority: str) -> str:
    cluster = {"server": "https://10.0.0.9:6443", "certificate-authority-data": b64encode(authority.encode()).decode()}
    write_private(state / "kubeconfig", Context("kind", state, cluster, {}).alone())
    return cluster["certificate-authority-data"]


def test_the_clusters_own_address_and_authority(tmp_path: Path) -> None:
    environ = {"LAB_STATE": str(tmp_path / "lab"), "LAB_AWS": "standin", "LAB_PORTS_AWS": str(free_port())}
    aws = StandIn(load(write(tmp_path, MINIMAL), environ))
    first = kubeconfig(aws.settings.state, "of kind")
    try:
        aws.start()
        assert described(aws) == ("https://10.0.0.9:6443", first)
        second = kubeconfig(aws.settings.state, "of kind, made anew")
        assert aws.start() == "already running"
        assert described(aws) == ("https://10.0.0.9:6443", second)
    finally:
        aws.delete()
