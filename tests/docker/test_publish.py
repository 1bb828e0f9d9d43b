"""`invoke build --push` and the build's own messages, on a real engine; the images are small stand-ins for the lab's."""

from __future__ import annotations

import json

import pytest

from lab.build import Built, build
from lab.clusters.base import Image
from lab.errors import LabError
from lab.push.publish import publish
from lab.settings import ROOT
from lab.world import World
from tests.docker.daemon import REGISTRY, Engine

pytestmark = pytest.mark.docker


def as_built(engine: Engine, image: str, name: str) -> Built:
    made = Image(f"ops-demo:{name}", ROOT / "images" / name / "Dockerfile")
    return Built(made, f"{made.tag}-0123456789ab", image, 6, 0.0, skipped=False)


def test_serving_and_training_go_to_the_tenants_repositories_as_the_tenant(
    engine: Engine, world: World, image: str
) -> None:
    built = [as_built(engine, image, name) for name in ("postgres", "serving", "training")]
    said: list[str] = []
    with engine.chosen():
        done = publish(world, built, world.settings.choose("01,02"), say=said.append)
    names = [
        f"{repository}:0123456789ab"
        for num in ("01", "02")
        for repository in (f"mlops-training/user{num}/iris-api", f"mlops-user{num}-training")
    ]
    assert [item.reference for item in done] == [f"{REGISTRY}/{name}" for name in names]
    assert said == [f"✓ {item.reference}" for item in done]
    for item in done:
        name, _, tag = item.reference.removeprefix(f"{REGISTRY}/").rpartition(":")
        found = world.root("ecr").describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])["imageDetails"][0]
        assert found["imageDigest"] == item.digest
    assert (
        f"{REGISTRY}/mlops-training/user01/iris-api:0123456789ab"
        in json.loads(engine.docker("inspect", image))[0]["RepoTags"]
    )


def test_a_repository_that_is_gone_is_told_in_the_registrys_words(engine: Engine, world: World, image: str) -> None:
    world.root("ecr").delete_repository(repositoryName="mlops-user02-training", force=True)
    with engine.chosen(), pytest.raises(LabError, match="mlops-user02-training:x was not pushed") as caught:
        publish(world, [as_built(engine, image, "training")], [world.settings.one("02")], tag="x", say=lambda _: None)
    assert "describe-repositories" in caught.value.hint


def test_a_base_that_is_not_there_and_cannot_be_had_is_one_message(engine: Engine, world: World) -> None:
    with (
        engine.chosen(),
        pytest.raises(LabError, match="nothing:1 is not here and cannot be pulled") as caught,
    ):
        build(settings=world.settings, base="127.0.0.1:9/nothing:1")
    assert "docker load" in caught.value.hint


def test_a_base_without_python_is_one_message(engine: Engine, world: World, image: str) -> None:
    with engine.chosen(), pytest.raises(LabError, match="does not run python3") as caught:
        build(settings=world.settings, base="mlops-lab/test:1")
    assert "--base" in caught.value.hint
