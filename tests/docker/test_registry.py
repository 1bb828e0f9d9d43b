"""Real clients and the ECR stand-in: docker's login, push and pull on loopback and under the registry's real name, and containerd's ctr."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.host.processes import Daemon
from lab.settings import ROOT
from lab.world import World
from tests.docker.daemon import AS_REGISTRY, REGISTRY, Engine

pytestmark = pytest.mark.docker
NAME = "mlops-training/user01/iris-api"


def password(world: World, num: str = "01") -> str:
    """What `aws ecr get-login-password` prints."""
    clients = world.aws_as(world.settings.one(num))
    token = clients("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return b64decode(token).decode().partition(":")[2]


def local(world: World) -> str:
    return world.aws.endpoint("ecr").removeprefix("http://")


def details(world: World, tag: str) -> dict[str, object]:
    ecr = world.aws_as(world.settings.one("01"))("ecr")
    found = ecr.describe_images(repositoryName=NAME, imageIds=[{"imageTag": tag}])["imageDetails"][0]
    return dict(found)


def log_in(engine: Engine, world: World, host: str) -> None:
    said = engine.docker("login", "--username", "AWS", "--password-stdin", host, text=password(world))
    assert "Login Succeeded" in said


def push_and_pull(engine: Engine, image: str, reference: str) -> str:
    """The digest that both ends agree on."""
    engine.docker("tag", image, reference)
    engine.docker("push", reference)
    engine.docker("rmi", reference)
    assert "Downloaded newer image" in engine.docker("pull", reference) or engine.docker("inspect", reference)
    (digest,) = {
        item.partition("@")[2]
        for item in json.loads(engine.docker("inspect", reference))[0]["RepoDigests"]
        if item.startswith(reference.rpartition(":")[0])
    }
    return str(digest)


def test_login_push_and_pull_on_loopback_need_no_settings_of_the_engine(
    engine: Engine, world: World, image: str
) -> None:
    host = local(world)
    log_in(engine, world, host)
    digest = push_and_pull(engine, image, f"{host}/{NAME}:docker")
    assert details(world, "docker")["imageDigest"] == digest


def test_a_wrong_password_and_another_tenants_repository_are_refused(engine: Engine, world: World, image: str) -> None:
    host = local(world)
    assert "Login" not in engine.docker("login", "-u", "AWS", "--password-stdin", host, text="wrong", fails=True)
    log_in(engine, world, host)
    engine.docker("tag", image, f"{host}/mlops-training/user02:theirs")
    said = engine.docker("push", f"{host}/mlops-training/user02:theirs", fails=True)
    assert "not authorized to perform" in said or "denied" in said
    engine.docker("rmi", f"{host}/mlops-training/user02:theirs")


@contextmanager
def under_its_real_name(engine: Engine, world: World, folder: Path) -> Iterator[str]:
    """The same registry at the address and port that its real name has, with a certificate that the engine trusts for that name."""
    certificate, key = folder / "crt", folder / "key"
    options = ["-nodes", "-days", "2", "-subj", f"/CN={REGISTRY}", "-addext", f"subjectAltName=DNS:{REGISTRY}"]
    made = ["-x509", "-newkey", "rsa:2048", *options, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *made], check=True, capture_output=True)
    shutil.copy(certificate, engine.certificates / "ca.crt")
    world.aws.stop()
    daemon = Daemon("awssim-tls", world.settings.state)
    where = ["--address", AS_REGISTRY, "--port", "443", "--state", str(world.aws.folder())]
    secured = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    environ = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    daemon.start([sys.executable, "-m", "awssim", "serve", *where, *secured], environ=environ)
    try:
        daemon.wait(lambda: "listens on" in daemon.tail())
        yield REGISTRY
    finally:
        daemon.stop()
        world.aws.start()


def test_login_push_and_pull_under_the_real_name(engine: Engine, world: World, image: str, tmp_path: Path) -> None:
    if not engine.own:
        pytest.skip("the hosts file and certificates of an engine that the tests did not start are left alone")
    key = password(world)
    with under_its_real_name(engine, world, tmp_path) as host:
        assert "Login Succeeded" in engine.docker("login", "--username", "AWS", "--password-stdin", host, text=key)
        digest = push_and_pull(engine, image, f"{host}/{NAME}:real")
    assert details(world, "real")["imageDigest"] == digest


def test_ctr_pulls_the_real_name_through_certs_d(engine: Engine, world: World, image: str, tmp_path: Path) -> None:
    if shutil.which("ctr") is None or not engine.own:
        pytest.skip("needs ctr, and an engine of the tests' own for its containerd")
    engine.docker("tag", image, f"{local(world)}/{NAME}:ctr")
    log_in(engine, world, local(world))
    engine.docker("push", f"{local(world)}/{NAME}:ctr")
    hosts = tmp_path / "certs.d" / REGISTRY
    hosts.mkdir(parents=True)
    basic = b64encode(f"AWS:{password(world)}".encode()).decode()
    endpoint = world.aws.endpoint("ecr")
    (hosts / "hosts.toml").write_text(
        f'server = "{endpoint}"\n[host."{endpoint}"]\n  capabilities = ["pull", "resolve"]\n'
        f'  [host."{endpoint}".header]\n    authorization = "Basic {basic}"\n'
    )

    def ctr(*command: str) -> subprocess.CompletedProcess[str]:
        call = ["ctr", "--address", str(engine.containerd), "--namespace", "mlops-lab", *command]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        print(f"$ {' '.join(call)}\n{done.stdout}{done.stderr}".rstrip())
        return done

    pulled = ctr("images", "pull", "--hosts-dir", str(tmp_path / "certs.d"), f"{REGISTRY}/{NAME}:ctr")
    assert pulled.returncode == 0, pulled.stderr
    assert str(details(world, "ctr")["imageDigest"]) in ctr("images", "list").stdout
    (hosts / "hosts.toml").write_text(
        f'server = "{endpoint}"\n[host."{endpoint}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    refused = ctr("images", "pull", "--hosts-dir", str(tmp_path / "certs.d"), f"{REGISTRY}/{NAME}:ctr")
    assert refused.returncode != 0
    assert "401" in refused.stderr or "authorization failed" in refused.stderr
