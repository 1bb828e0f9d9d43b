"""The images on a real engine: built without a network, small, and working together read-only, unprivileged and with no network but loopback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from lab import settings
from lab.build import ALL, Built, build
from lab.build.board import LIMITS
from lab.settings import Settings
from tests.docker import base
from tests.docker.daemon import Engine
from tests.lab.test_settings import MINIMAL, write

pytestmark = [pytest.mark.docker, pytest.mark.exhaustive, pytest.mark.timeout(3600)]
WANTED = tuple(image for image in ALL if image.dockerfile.parent.name != "notebook")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("lab")
    return settings.load(write(folder, MINIMAL), {"LAB_STATE": os.environ.get("LAB_TEST_STATE", str(folder / "lab"))})


@pytest.fixture(scope="module")
def found_base(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    if reason := base.reason_to_skip(engine):
        pytest.skip(reason)
    return base.find(engine) or base.make(engine, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def built(engine: Engine, lab: Settings, found_base: str) -> dict[str, Built]:
    with engine.chosen():
        return {item.image.dockerfile.parent.name: item for item in build(WANTED, settings=lab, base=found_base)}


def test_images_stay_small(built: dict[str, Built]) -> None:
    assert {name: item.size for name, item in built.items() if item.size > LIMITS.get(name, 1000) * 1_000_000} == {}


def test_a_second_build_finds_them_all(engine: Engine, lab: Settings, found_base: str, built: dict[str, Built]) -> None:
    with engine.chosen():
        again = build(WANTED, settings=lab, base=found_base)
    assert all(item.skipped for item in again)
    assert {item.pinned for item in again} == {item.pinned for item in built.values()}


def test_an_image_is_unprivileged_described_and_without_what_made_it(engine: Engine, built: dict[str, Built]) -> None:
    for name, item in built.items():
        config = json.loads(engine.docker("inspect", item.tag))[0]["Config"]
        assert config["User"] == "10001", name
        assert config["Healthcheck" if "Healthcheck" in config else "User"] == "10001", name
        assert {f"org.opencontainers.image.{key}" for key in ("title", "description", "licenses")} <= set(
            config["Labels"]
        )
        look = "ls /build /usr/bin/cc /usr/bin/gcc /opt/lab/bin/pip 2>/dev/null; ls -d /opt/lab/lib/python3*/site-packages/*.dist-info | wc -l"
        left = engine.docker("run", "--rm", "--network", "none", "--entrypoint", "sh", item.tag, "-c", look).split()
        assert len(left) == 1, (name, left)
        assert int(left[0]) > 0, name


@dataclass
class Stack:
    """Containers that share one network namespace with nothing but loopback in it, as the containers of a pod do."""

    engine: Engine
    tags: Mapping[str, str]

    def start(self, name: str, *options: str, **environ: str) -> None:
        network = "none" if name == "awssim" else "container:lab-awssim"
        self.engine.docker(
            "run", "--detach", "--name", f"lab-{name}", *self._run(network, environ), *options, self.tags[name]
        )

    def finish(self, name: str, *command: str, entrypoint: str = "", **environ: str) -> str:
        """Run to the end and return the output."""
        entry = ["--entrypoint", entrypoint] if entrypoint else []
        return self.engine.docker(
            "run", "--rm", *self._run("container:lab-awssim", environ), *entry, self.tags[name], *command
        )

    def _run(self, network: str, environ: Mapping[str, str]) -> list[str]:
        locked = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"]
        return [
            *locked,
            "--network",
            network,
            *(word for key, value in environ.items() for word in ("--env", f"{key}={value}")),
        ]

    def fetch(self, url: str, body: str = "", *, seconds: float = 120) -> str:
        """From inside, with the image's own Python; retried until it answers."""
        program = (
            "import sys, urllib.request as r; b = sys.argv[2].encode() or None; "
            "print(r.urlopen(r.Request(sys.argv[1], b, {'Content-Type': 'application/json'}), timeout=10).read().decode())"
        )
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.engine.docker("exec", "lab-awssim", "python", "-c", program, url, body)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


@pytest.fixture
def stack(engine: Engine, built: dict[str, Built]) -> Iterator[Stack]:
    made = Stack(engine, {name: item.tag for name, item in built.items()})
    names = [f"lab-{name}" for name in ("awssim", "postgres", "mlflow", "serving")]
    try:
        yield made
    finally:
        there = engine.docker("ps", "--all", "--format", "{{.Names}}").split()
        for name in reversed([name for name in names if name in there]):
            engine.docker("rm", "--force", "--volumes", name)


def test_a_model_goes_from_training_to_an_answer_in_containers(stack: Stack) -> None:
    stack.start("awssim", "--volume", "/data")
    stack.fetch("http://127.0.0.1:4566/_awssim/health")
    keys = json.loads(stack.engine.docker("exec", "lab-awssim", "cat", "/data/root.json"))
    aws = {"AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"]}
    aws |= {"AWS_DEFAULT_REGION": "ap-northeast-2", "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:4566"}
    where = "CreateBucketConfiguration={'LocationConstraint': 'ap-northeast-2'}"
    bucket = f"import boto3; boto3.client('s3', endpoint_url='http://127.0.0.1:4566').create_bucket(Bucket='models', {where})"
    stack.finish("mlflow", "-c", bucket, entrypoint="python", **aws)

    data = ["--tmpfs", "/var/lib/postgresql/data:uid=10001,mode=0700"]
    stack.start(
        "postgres", *data, POD_IP="127.0.0.1", POSTGRES_PASSWORD="one", PGDATA="/var/lib/postgresql/data/pgdata"
    )
    known = {"PGHOST": "127.0.0.1", "POSTGRES_PASSWORD": "one", "DATABASE_mlflow_shared": "two"}
    stack.finish("mlflow", "-m", "tracking.databases", entrypoint="python", **known)
    backend = "postgresql+pg8000://mlflow_shared:two@127.0.0.1/mlflow_shared"
    stack.start(
        "mlflow",
        POD_IP="127.0.0.1",
        MLFLOW_BACKEND_STORE_URI=backend,
        MLFLOW_ARTIFACT_ROOT="s3://models/mlflow-artifacts",
        **aws,
    )
    assert stack.fetch("http://127.0.0.1:5000/health").strip() == "OK"
    assert "<!doctype html>" in stack.fetch("http://127.0.0.1:5000/").lower()

    tracking = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000", **aws}
    log = stack.finish("training", "--n-estimators", "20", "--run-name", "in-a-container", **tracking)
    assert "champion" in log
    stack.start(
        "serving", "--tmpfs", "/models:uid=10001", POD_IP="127.0.0.1", MODEL_CACHE="/models:/tmp/models", **tracking
    )
    stack.fetch("http://127.0.0.1:8000/ready")
    answer = json.loads(stack.fetch("http://127.0.0.1:8000/predict", '{"features": [5.1, 3.5, 1.4, 0.2]}'))
    assert answer["prediction"] == "setosa", answer
