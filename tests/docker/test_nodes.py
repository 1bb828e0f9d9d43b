"""A node's own way to an image of the real ECR name: containerd itself with the files that `up` writes for kind and for k3s."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.clusters import pulls, render
from lab.clusters.k3s import FILES, LOGIN, K3s
from lab.clusters.kind import Kind
from lab.world import World
from tests.docker.daemon import REGISTRY, Engine
from tests.docker.test_registry import NAME, local, log_in

pytestmark = pytest.mark.docker
Ctr = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pushed(engine: Engine, world: World, image: str) -> str:
    """What a tenant pushed, by the name that manifests have."""
    log_in(engine, world, local(world))
    engine.docker("tag", image, f"{local(world)}/{NAME}:nodes")
    engine.docker("push", f"{local(world)}/{NAME}:nodes")
    return f"{REGISTRY}/{NAME}:nodes"


@pytest.fixture
def ctr(engine: Engine) -> Ctr:
    if shutil.which("ctr") is None or not engine.own:
        pytest.skip("needs ctr, and an engine of the tests' own for its containerd")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        call = ["ctr", "--address", str(engine.containerd), "--namespace", "mlops-lab-nodes", *command]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    return run


def test_a_node_of_kind_pulls_the_real_name_and_again_after_its_login_ended(
    world: World, ctr: Ctr, pushed: str
) -> None:
    nodes = replace(world, provider=Kind(world.settings))
    pulls.sign_in(nodes)
    folder = world.settings.state / "kind" / "certs.d"
    pulled = ctr("images", "pull", "--hosts-dir", str(folder), pushed)
    assert pulled.returncode == 0, pulled.stderr
    assert pushed in ctr("images", "list").stdout
    iam = world.root("iam")
    for key in iam.list_access_keys(UserName=pulls.USER)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=pulls.USER, AccessKeyId=key["AccessKeyId"])
    ctr("images", "remove", pushed)
    refused = ctr("images", "pull", "--hosts-dir", str(folder), pushed)
    assert refused.returncode != 0
    assert "401" in refused.stderr or "authorization failed" in refused.stderr, refused.stderr
    pulls.sign_in(nodes)
    again = ctr("images", "pull", "--hosts-dir", str(folder), pushed)
    assert again.returncode == 0, again.stderr


def test_a_node_of_k3s_pulls_with_what_its_kubelet_is_told(world: World, ctr: Ctr, pushed: str, tmp_path: Path) -> None:
    """k3s turns registries.yaml into this hosts.toml, and its kubelet hands containerd the program's answer with the name to pull."""
    provider = K3s(world.settings, service=tmp_path / "no-service")
    render.write(provider.folder, FILES, render.values(world.settings, folder=provider.folder, address="127.0.0.1"))
    (provider.folder / LOGIN).chmod(0o700)
    pulls.sign_in(replace(world, provider=provider))
    asked = subprocess.run([provider.folder / LOGIN], input="{}", capture_output=True, text=True, check=True)
    login = json.loads(asked.stdout)["auth"][REGISTRY]
    endpoint = world.aws.endpoint("ecr")
    hosts = tmp_path / "certs.d" / REGISTRY
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text(
        f'server = "{endpoint}"\n[host."{endpoint}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    pull = ["images", "pull", "--hosts-dir", str(tmp_path / "certs.d")]
    assert ctr(*pull, pushed).returncode != 0
    pulled = ctr(*pull, "--user", f"{login['username']}:{login['password']}", pushed)
    assert pulled.returncode == 0, pulled.stderr
