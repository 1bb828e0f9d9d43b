"""What an image is built of: the digest that finds it again, and the context that it is built from."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab.build import ALL, choose, recipe
from lab.clusters.base import Image
from lab.errors import LabError
from lab.settings import ROOT

DOCKERFILE = """\
FROM python:3.11-slim AS packages
COPY images/one/requirements.lock wheels* /build/
FROM python:3.11-slim
COPY --from=packages /opt/lab /opt/lab
COPY program /app/program
"""


@pytest.fixture
def image(tmp_path: Path) -> Image:
    for name, text in {
        "images/one/Dockerfile": DOCKERFILE,
        "images/one/requirements.lock": "a==1\n",
        "program/__main__.py": "print(1)\n",
        "program/__pycache__/x.pyc": "never",
        "elsewhere/secret": "never",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Image("one:1", tmp_path / "images/one/Dockerfile", tmp_path)


def digest(image: Image, **options: str) -> str:
    return recipe.read(image).digest(**{"base": "sha256:b", "platform": "linux"} | options)


def test_the_context_has_what_the_dockerfile_copies_and_the_wheels(image: Image, tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    target = io.BytesIO()
    recipe.read(image).write_context(target, [wheel])
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        entries = {entry.name: (entry.mtime, entry.uid) for entry in archive.getmembers()}
    names = {"Dockerfile", "images/one/requirements.lock", "program/__main__.py", "wheels/a-1-py3-none-any.whl"}
    assert entries == dict.fromkeys(names, (0, 0))


def test_the_digest_follows_content_and_not_times(image: Image, tmp_path: Path) -> None:
    first = digest(image)
    (tmp_path / "program/__main__.py").touch()
    (tmp_path / "elsewhere/secret").write_text("changed")
    assert digest(image) == first


@pytest.mark.parametrize("changed", ["images/one/Dockerfile", "images/one/requirements.lock", "program/__main__.py"])
def test_every_byte_that_can_matter_changes_the_digest(image: Image, tmp_path: Path, changed: str) -> None:
    first = digest(image)
    path = tmp_path / changed
    path.write_text(path.read_text() + "# more\n")
    assert digest(image) != first


def test_another_base_or_platform_is_another_image(image: Image) -> None:
    assert len({digest(image), digest(image, base="sha256:c"), digest(image, platform="arm")}) == 3


def test_an_executable_is_another_file(image: Image, tmp_path: Path) -> None:
    first = digest(image)
    (tmp_path / "program/__main__.py").chmod(0o755)
    assert digest(image) != first


def test_a_copy_of_nothing_is_told_with_its_image(image: Image, tmp_path: Path) -> None:
    (tmp_path / "program/__main__.py").unlink()
    (tmp_path / "program/__pycache__/x.pyc").unlink()
    (tmp_path / "program/__pycache__").rmdir()
    (tmp_path / "program").rmdir()
    with pytest.raises(LabError, match="image one:1: program is not in"):
        recipe.read(image)


@pytest.mark.parametrize("image_", ALL, ids=lambda one: one.dockerfile.parent.name)
def test_the_labs_own_recipes_can_be_read(image_: Image) -> None:
    made = recipe.read(image_)
    names = [name for name, _ in made.files]
    assert made.lock.relative_to(ROOT).as_posix() in names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith((".", "tests"))]


def test_images_are_chosen_by_folder_or_tag() -> None:
    assert choose("") == ALL
    assert [image.tag for image in choose("serving, mlops-lab/mlflow:1,serving")] == [
        "ops-demo:serving",
        "mlops-lab/mlflow:1",
    ]
    with pytest.raises(LabError, match="there is no image nginx") as caught:
        choose("nginx")
    assert "kubeflow-lite" in caught.value.hint
