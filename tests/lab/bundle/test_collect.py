"""Bundles of real clusters, collected through programs that record; the wheels are here already, so no network has a part."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab import settings, tools
from lab.build.wheels import Target
from lab.bundle import archive, locks, manifest, shelf
from lab.bundle.collect import GLIBC, PIP, Told, collect, source_files
from lab.bundle.install import sum_of
from lab.clusters.base import IMAGES
from lab.clusters.kind import METRICS_SERVER, Kind
from lab.clusters.render import node_image
from lab.clusters.sim import Sim
from lab.clusters.supply import file_name
from lab.errors import LabError
from lab.settings import Settings
from lab.tools import Download, Tool
from tests.lab.clusters.programs import Programs


@pytest.fixture
def loaded(tmp_path: Path, clone: Path) -> Settings:
    """A lab that has downloaded its wheels before."""
    made = settings.load(environ={"LAB_STATE": str(tmp_path / "lab")})
    machine, python = manifest.here()
    for name, lock in (("lab", clone / "requirements.lock"), ("bundle", PIP)):
        folder = made.state / "wheels" / Target(python, machine, GLIBC).name / f"{name}-{sum_of(lock)[:12]}"
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "invoke-1.0-py3-none-any.whl", folder / f"{name}-1.0-py3-none-any.whl")
    return made


def test_sim_is_the_lab_and_its_wheels(loaded: Settings, clone: Path, tmp_path: Path) -> None:
    said: list[str] = []
    at: list[str] = []
    described = collect(loaded, Sim(loaded), tmp_path / "lab.tar.zst", told=Told(said.append, at.append), root=clone)
    assert [one.path.split("/")[0] for one in described.files] == ["wheels", "wheels"]
    assert said[0].startswith("packages for Python")
    assert "writing lab.tar.zst: 2 files" in said[1]
    assert at[-1] == "0 of 0 MB written", "how far it is"
    assert "inv" in {one.path for one in described.source}
    assert archive.unpack(tmp_path / "lab.tar.zst", tmp_path / "there") == described


def test_kind_has_its_programs_and_images(
    loaded: Settings, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(tmp_path / "programs")
    programs.install("docker")
    programs.answer("docker version", stdout="1.50")
    programs.answer("docker save", after="-o", text="an image")
    monkeypatch.setenv("PATH", str(programs.bin))
    (loaded.state / "bin").mkdir()
    known = {}
    for name in ("kind", "kubectl"):
        path = loaded.state / "bin" / name
        path.write_text(name)
        known[name] = Tool(name, "v1", "", Download(name, "http://127.0.0.1:1/none", sum_of(path)))
    monkeypatch.setattr(tools, "known", lambda _: known)
    (loaded.state / "bundle" / "images").mkdir(parents=True)
    for image in IMAGES:
        (loaded.state / "bundle" / "images" / file_name(image.tag)).write_text("of an earlier bundle")
    described = collect(loaded, Kind(loaded), tmp_path / "kind.tar", told=Told(lambda _: None), root=clone)
    names = {one.path for one in described.files}
    assert {"tools/kind", "tools/kubectl", "images/kindest_node_v1.36.1.tar"} <= names
    assert {f"images/{file_name(image.tag)}" for image in IMAGES} <= names
    assert programs.calls("docker pull") == [f"docker pull --quiet {one}" for one in (node_image(), METRICS_SERVER)]
    assert all("@" not in call and "--platform linux/" in call for call in programs.calls("docker save"))
    other = loaded.model_copy(update={"state": tmp_path / "there"})
    archive.unpack(tmp_path / "kind.tar", other.state / "bundle")
    assert tools.find(other.state, "kind") == str(other.state / "bundle" / "tools" / "kind")
    assert shelf.find(other.state, "images/kindest_node_v1.36.1.tar") is not None


@pytest.mark.parametrize(("name", "words"), [("lab.zip", "is not the name of a bundle"), ("a/lab.tar", "no folder")])
def test_where_it_cannot_be_written(loaded: Settings, clone: Path, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(LabError, match=words):
        collect(loaded, Sim(loaded), tmp_path / name, told=Told(lambda _: None), root=clone)


def test_packages_that_are_source_only() -> None:
    one, two = (
        "a==1 \\\n    --hash=sha256:1\n    # via x\n",
        "Local_Stack==2 ; python_version < '4' \\\n    --hash=sha256:2\n",
    )
    assert locks.split(f"# made by\n{one}{two}{one}", ("local-stack",)) == (f"# made by\n{one}{one}", two)
    assert locks.split(one) == (one, "")


def test_source_without_git(clone: Path) -> None:
    """A bundle can be made where a bundle was unpacked; what the lab makes there is left out."""
    for made in (".lab/cluster/key", ".venv/bin/python", "bundle/manifest.json", "lab/__pycache__/x.pyc"):
        (clone / made).parent.mkdir(parents=True, exist_ok=True)
        (clone / made).write_text("")
    found = source_files(clone)
    assert "inv" in found
    assert not [name for name in found if name.startswith((".", "bundle")) or "__pycache__" in name]
