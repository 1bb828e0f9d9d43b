"""Bundles of real clusters, collected through programs that record; the wheels are here already, so no network has a part."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from lab import aws as aws_providers
from lab import settings, tools
from lab.aws import localstack
from lab.build.wheels import Target
from lab.bundle import archive, locks, manifest, shelf
from lab.bundle.collect import GLIBC, INSTALLERS, collect, source_files
from lab.bundle.install import sum_of
from lab.bundle.moving import Moving
from lab.clusters.base import IMAGES, Provider
from lab.clusters.k3s import K3s
from lab.clusters.kind import METRICS_SERVER, Kind
from lab.clusters.render import node_image
from lab.clusters.sim import Sim
from lab.clusters.supply import file_name
from lab.errors import LabError
from lab.settings import Settings
from lab.tools import Download, Tool
from lab.world import World
from tests.lab.clusters.programs import Programs


@dataclass
class Told:
    """Remembers what it was told."""

    said: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def at(self, text: str) -> None:
        self.moved.append(text)


def world_of(settings: Settings, provider: Provider, aws: str = "standin") -> World:
    return World(settings, provider, "as asked", aws_providers.PROVIDERS[aws](settings), "as asked")


@pytest.fixture
def loaded(tmp_path: Path, clone: Path) -> Settings:
    """A lab that has downloaded its wheels before."""
    made = settings.load(environ={"LAB_STATE": str(tmp_path / "lab")})
    machine, python = manifest.here()
    for name, lock in (("lab", clone / "requirements.lock"), ("bundle", INSTALLERS)):
        folder = made.state / "wheels" / Target(python, machine, GLIBC).name / f"{name}-{sum_of(lock)[:12]}"
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "invoke-1.0-py3-none-any.whl", folder / f"{name}-1.0-py3-none-any.whl")
    return made


def test_sim_is_the_lab_and_its_wheels(loaded: Settings, clone: Path, tmp_path: Path) -> None:
    told = Told()
    described = collect(world_of(loaded, Sim(loaded)), tmp_path / "lab.tar.zst", told=told, root=clone)
    assert [one.path.split("/")[0] for one in described.files] == ["wheels", "wheels"]
    assert told.said[0].startswith("packages for Python")
    assert "writing lab.tar.zst: 2 files" in told.said[1]
    assert told.moved[-1] == "0 of 0 MB written", "how far it is"
    assert "inv" in {one.path for one in described.source}
    assert archive.unpack(tmp_path / "lab.tar.zst", tmp_path / "there") == described


def test_who_edits_the_lab_meanwhile_does_not_damage_its_bundle(loaded: Settings, clone: Path, tmp_path: Path) -> None:
    class Editing(Told):
        def at(self, text: str) -> None:
            """A file moves as the first sums are taken, another changes as the first byte is written."""
            (clone / "inv").rename(clone / "inv-moved") if text == "checksums" else (clone / "inv-moved").write_text(
                "!"
            )

    path = tmp_path / "lab.tar.zst"
    described = collect(world_of(loaded, Sim(loaded)), path, told=Editing(), root=clone)
    assert archive.unpack(path, tmp_path / "there") == described
    assert "inv" in {one.path for one in described.source}


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
    described = collect(world_of(loaded, Kind(loaded)), tmp_path / "kind.tar", told=Told(), root=clone)
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
        collect(world_of(loaded, Sim(loaded)), tmp_path / name, told=Told(), root=clone)


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


def shelved(settings: Settings, *names: str) -> None:
    """The lab's own images and others, as a bundle that this lab came with has them."""
    folder = settings.state / "bundle" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(file_name(image.tag) for image in IMAGES), *names):
        (folder / name).write_text(name)


def catalogue(settings: Settings, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Tools that were fetched before, with what comes with them."""
    folder = settings.state / "bin"
    folder.mkdir()
    known = {}
    for name in names:
        for file in (name, f"{name}-airgap-images-amd64.tar.zst"):
            (folder / file).write_text(file)
        others = Download(f"{name}-airgap-images-amd64.tar.zst", "http://127.0.0.1:1/none", sum_of(folder / file))
        known[name] = Tool(name, "v1", "", Download(name, "http://127.0.0.1:1/none", sum_of(folder / name)), (others,))
    monkeypatch.setattr(tools, "known", lambda _: known)


def test_k3s_has_its_own_images_and_localstack_where_it_is_the_labs_aws(
    loaded: Settings, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(tmp_path / "programs")
    programs.install("docker")
    programs.answer("docker version", stdout="1.50")
    programs.answer("docker images", stdout="0a1b2c")
    programs.answer("docker save", after="-o", text="an image")
    monkeypatch.setenv("PATH", str(programs.bin))
    catalogue(loaded, monkeypatch, "k3s")
    shelved(loaded)
    described = collect(world_of(loaded, K3s(loaded), "localstack"), tmp_path / "k3s.tar", told=Told(), root=clone)
    names = {one.path for one in described.files}
    assert {"tools/k3s", "tools/k3s-airgap-images-amd64.tar.zst"} <= names
    assert {f"images/{file_name(image.tag)}" for image in IMAGES} <= names
    assert f"images/{file_name(localstack.IMAGE)}" in names
    assert programs.calls("docker pull") == [], "it is on this engine already"


def test_an_image_that_cannot_be_pulled_is_named_with_what_to_do(
    loaded: Settings, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(tmp_path / "programs")
    programs.install("docker")
    programs.answer("docker pull", stderr="dial tcp: lookup registry-1.docker.io: no such host", code=1)
    monkeypatch.setenv("PATH", str(programs.bin))
    catalogue(loaded, monkeypatch, "kind", "kubectl")
    shelved(loaded)
    with pytest.raises(LabError, match=r"image kindest/node:v1\.36\.1 cannot be pulled: .*no such host") as refusal:
        collect(world_of(loaded, Kind(loaded)), tmp_path / "kind.tar", told=Told(), root=clone)
    assert "docker load -i FILE" in refusal.value.hint
    assert [path.name for path in tmp_path.iterdir() if "kind.tar" in path.name or path.name.startswith(".")] == []


def test_a_program_that_cannot_be_fetched_is_named_with_what_to_do(
    loaded: Settings, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"k3s": Tool("k3s", "v1", "", Download("k3s", "http://127.0.0.1:1/k3s", "0" * 64))}
    monkeypatch.setattr(tools, "known", lambda _: known)
    with pytest.raises(LabError, match=r"cannot fetch http://127\.0\.0\.1:1/k3s: ") as refusal:
        collect(world_of(loaded, K3s(loaded)), tmp_path / "k3s.tar", told=Told(), root=clone)
    assert "--bundle FILE" in refusal.value.hint


def test_a_log_shows_how_far_it_is() -> None:
    """Where there is no terminal: a line every ten seconds, and none that nobody asked for."""
    now = [0.0]
    console = Console(file=io.StringIO(), width=80)
    with Moving(console, clock=lambda: now[0]) as told:
        told.say("packages [all]")
        told.at("1 of 210 packages")
        now[0] = 11.0
        told.at("90 of 210 packages")
        told.at("91 of 210 packages")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == ["packages [all]", "  90 of 210 packages"]
