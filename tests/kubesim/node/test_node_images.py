"""The image store: built once, found by content."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim.node import images
from kubesim.node.images import BuildError, ImageStore, InvalidImageName, normalize


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    (place / "app" / "__pycache__").mkdir(parents=True)
    (place / "app" / "__pycache__" / "x.pyc").write_text("")
    (place / "app" / "main.py").write_text("print(1)\n")
    (place / "app" / "notes.md").write_text("")
    (place / "app" / "keep.md").write_text("")
    (place / ".dockerignore").write_text("**/*.md\n!app/keep.md\n")
    (place / "Dockerfile").write_text('FROM x\nWORKDIR /app\nCOPY app .\nENV A=1\nENTRYPOINT ["python", "main.py"]\n')
    return place


def test_build_copies_what_is_not_ignored(tmp_path: Path, context: Path) -> None:
    image = ImageStore(tmp_path).build(context, tag="demo:1")
    files = sorted(path.relative_to(image.root).as_posix() for path in image.root.rglob("*") if path.is_file())
    assert files == ["app/keep.md", "app/main.py"]
    assert (image.name, image.env, image.workdir, image.entrypoint) == (
        "docker.io/library/demo:1",
        {"A": "1"},
        "/app",
        ["python", "main.py"],
    )
    assert image.tops == [image.root / "app"]


def test_unchanged_content_is_the_same_image_and_a_change_is_another(tmp_path: Path, context: Path) -> None:
    store = ImageStore(tmp_path)
    first = store.build(context, tag="demo:1")
    assert store.build(context, tag="demo:2").digest == first.digest
    (context / "app" / "main.py").write_text("print(2)\n")
    second = store.build(context, tag="demo:2")
    assert second.digest != first.digest
    kept = store.resolve("demo:1")
    assert kept is not None
    assert (kept.root / "app" / "main.py").read_text() == "print(1)\n"
    assert [image.name for image in store.list()] == ["docker.io/library/demo:1", "docker.io/library/demo:2"]
    assert store.resolve("demo:3") is None
    assert not list(store.folder.glob(".build-*"))


def test_names_are_those_of_containerd() -> None:
    assert normalize("lab/busybox:1") == "docker.io/lab/busybox:1"
    assert normalize("demo") == "docker.io/library/demo:latest"
    assert normalize("localhost:5000/a/b") == "localhost:5000/a/b:latest"
    registry = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/x/y:v1"
    assert normalize(registry) == registry
    for wrong in ("", "UPPER CASE", "a:b:c", "-x", "../x"):
        with pytest.raises(InvalidImageName):
            normalize(wrong)


def test_what_cannot_be_built_says_why(tmp_path: Path, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM x\nCOPY nothing /\n")
    with pytest.raises(BuildError, match=r'"/nothing": not found in the build context'):
        images.build(tmp_path, context, tag="demo:1")
    with pytest.raises(BuildError, match="invalid tag"):
        images.build(tmp_path, context, tag="De mo")
    with pytest.raises(BuildError, match="No such file"):
        images.build(tmp_path, tmp_path, tag="demo:1")
