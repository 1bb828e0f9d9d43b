"""The nodes' login of the lab's registry, against that registry: what kind's containerd sends, and what the kubelet of k3s is told by its program.

tests/docker/test_nodes.py pulls with a real containerd.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from lab.aws.real import Real
from lab.clusters import pulls, render
from lab.clusters.base import Provider
from lab.clusters.k3s import FILES, LOGIN, K3s
from lab.clusters.kind import Kind
from lab.push import push
from lab.world import World
from tests.lab.push.accounts import with_accounts

REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
IMAGE = "mlops-training/user01/iris-api"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry with an image of user 01."""
    with with_accounts(tmp_path_factory.mktemp("registry")) as made:
        push(made, "ops-demo:serving", made.settings.one("01"), tag="v1", say=lambda _: None)
        yield made


def on(world: World, provider: Provider) -> World:
    return replace(world, provider=provider)


def hosts(world: World) -> Path:
    return world.settings.state / "kind" / "certs.d" / REGISTRY / "hosts.toml"


def header(world: World) -> dict[str, str]:
    """What kind's containerd sends with every request to that name."""
    (host,) = tomllib.loads(hosts(world).read_text())["host"].values()
    return {"Authorization": host["header"]["authorization"]}


def asked(world: World, method: str, path: str, headers: dict[str, str]) -> int:
    return httpx.request(method, f"{world.aws.endpoint('ecr')}/v2/{path}", headers=headers).status_code


def test_kinds_nodes_may_pull_every_tenants_images_and_nothing_else(accounts: World) -> None:
    pulls.sign_in(on(accounts, Kind(accounts.settings)))
    read = tomllib.loads(hosts(accounts).read_text())
    assert read["server"] == accounts.aws.endpoint("ecr")
    assert list(read["host"]) == [accounts.aws.endpoint("ecr")]
    assert read["host"][read["server"]]["capabilities"] == ["pull", "resolve"]
    assert hosts(accounts).stat().st_mode & 0o777 == 0o600
    assert asked(accounts, "GET", f"{IMAGE}/manifests/v1", {}) == 401
    assert asked(accounts, "GET", f"{IMAGE}/manifests/v1", header(accounts)) == 200
    assert asked(accounts, "POST", f"{IMAGE}/blobs/uploads/", header(accounts)) in (401, 403)
    assert asked(accounts, "DELETE", f"{IMAGE}/manifests/v1", header(accounts)) in (401, 403, 405)


def test_the_next_up_has_another_login_whatever_became_of_the_last(accounts: World) -> None:
    nodes = on(accounts, Kind(accounts.settings))
    pulls.sign_in(nodes)
    first = header(accounts)
    iam = accounts.root("iam")
    (key,) = iam.list_access_keys(UserName=pulls.USER)["AccessKeyMetadata"]
    iam.delete_access_key(UserName=pulls.USER, AccessKeyId=key["AccessKeyId"])
    assert asked(accounts, "GET", f"{IMAGE}/manifests/v1", first) == 401, "as after twelve hours"
    pulls.sign_in(nodes)
    assert asked(accounts, "GET", f"{IMAGE}/manifests/v1", header(accounts)) == 200


def test_the_kubelet_of_k3s_asks_a_program(accounts: World) -> None:
    provider = K3s(accounts.settings, service=accounts.settings.state / "no-service")
    provider.folder.mkdir(parents=True, exist_ok=True)
    given = render.values(accounts.settings, folder=provider.folder, address="127.0.0.1")
    render.write(provider.folder, FILES, given)
    (provider.folder / LOGIN).chmod(0o700)
    pulls.sign_in(on(accounts, provider))
    request = {
        "kind": "CredentialProviderRequest",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "image": f"{REGISTRY}/{IMAGE}:v1",
    }
    done = subprocess.run(
        [provider.folder / LOGIN], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert (answer["kind"], answer["apiVersion"]) == ("CredentialProviderResponse", request["apiVersion"])
    assert answer["cacheDuration"] == "0s", "asked at every pull, so the next up's login is the next one used"
    login = answer["auth"][REGISTRY]
    done_as = httpx.BasicAuth(login["username"], login["password"])
    url = f"{accounts.aws.endpoint('ecr')}/v2/{IMAGE}/manifests/v1"
    assert httpx.get(url, auth=done_as).status_code == 200
    assert (provider.folder / "registry" / "login.json").stat().st_mode & 0o777 == 0o600


def test_where_there_is_nothing_to_sign_in_to(accounts: World, tmp_path: Path) -> None:
    """The simulator's node needs no login; AWS's own registry is not the lab's to give out; somebody's k3s is left as it is."""
    settings = accounts.settings.model_copy(update={"state": tmp_path})
    service = tmp_path / "k3s.yaml"
    service.write_text("")
    pulls.sign_in(replace(accounts, settings=settings))
    pulls.sign_in(replace(accounts, settings=settings, provider=K3s(settings, service=service)))
    pulls.sign_in(replace(accounts, settings=settings, provider=Kind(settings), aws=Real(settings)))
    assert list(tmp_path.iterdir()) == [service]
