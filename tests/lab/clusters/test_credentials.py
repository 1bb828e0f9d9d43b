"""The user's login of a registry, brought to the nodes of a cluster that is not the lab's."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from lab.clusters import credentials
from lab.errors import LabError
from lab.kube import manifests
from lab.kube.images import PULL_SECRET
from lab.settings import Settings
from tests.lab.clusters.programs import Programs

REGISTRY = "reg.example:5000/class"


@pytest.fixture
def visiting(loaded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """On somebody's cluster, with a registry and a Docker configuration of the test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return loaded.model_copy(update={"cluster": "current", "registry": REGISTRY})


def log_in(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "docker" / "config.json").write_text(json.dumps(config))


def test_every_namespace_has_the_users_login(visiting: Settings, tmp_path: Path) -> None:
    log_in(tmp_path, {"auths": {"reg.example:5000": {"auth": b64encode(b"teacher:se:cret").decode()}}})
    objects = manifests.read(manifests.K8S / "01-namespaces.yaml")
    found = credentials.beside(objects, visiting)
    assert found[: len(objects)] == objects
    made = found[len(objects) :]
    assert {item["metadata"]["namespace"] for item in made} == {"mlops-training", "mlops-serving"}
    assert {(item["metadata"]["name"], item["type"]) for item in made} == {
        (PULL_SECRET, "kubernetes.io/dockerconfigjson")
    }
    (entry,) = json.loads(b64decode(made[0]["data"][".dockerconfigjson"]))["auths"].items()
    assert entry[0] == "reg.example:5000", "the registry's host, as kubelets look it up"
    assert (entry[1]["username"], entry[1]["password"]) == ("teacher", "se:cret")
    assert b64decode(entry[1]["auth"]) == b"teacher:se:cret"


def test_a_login_that_a_program_keeps(visiting: Settings, programs: Programs, tmp_path: Path) -> None:
    """Docker Desktop, ECR's credential helper: the configuration only names the program."""
    programs.install("docker-credential-vault")
    programs.answer("docker-credential-vault get", stdout=json.dumps({"Username": "AWS", "Secret": "token"}))
    log_in(tmp_path, {"credHelpers": {"reg.example:5000": "vault"}})
    assert credentials.login("reg.example:5000") == {"username": "AWS", "password": "token"}


def test_a_program_that_is_missing_is_told(visiting: Settings, programs: Programs, tmp_path: Path) -> None:
    log_in(tmp_path, {"credHelpers": {"reg.example:5000": "gone"}})
    with pytest.raises(LabError, match=r"Docker's login of reg\.example:5000 cannot be read: .*gone") as told:
        credentials.secrets(visiting, ["a"])
    assert told.value.hint == "docker login reg.example:5000"


def test_where_nobody_asks_there_is_no_secret(visiting: Settings, loaded: Settings, tmp_path: Path) -> None:
    assert credentials.secrets(visiting, ["a"]) == [], "a registry without a login"
    log_in(tmp_path, {"auths": {"reg.example:5000": {"auth": b64encode(b"a:b").decode()}}})
    assert len(credentials.secrets(visiting, ["a"])) == 1
    for other in ({"registry": ""}, {"cluster": "kind"}):
        assert credentials.secrets(visiting.model_copy(update=other), ["a"]) == []
