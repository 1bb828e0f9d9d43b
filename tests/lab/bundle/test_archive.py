"""What a bundle must be before anything of it is used; every refusal names the file."""

from __future__ import annotations

import io
import json
import resource
import tarfile
from pathlib import Path

import pytest

from lab.bundle import archive, manifest
from lab.bundle.manifest import FOLDER, NAME
from lab.errors import LabError
from tests.lab.bundle.conftest import Make

SUFFIXES = ("lab.tar.zst", "lab.tar.gz", "lab.tar")


@pytest.mark.parametrize("name", SUFFIXES)
def test_there_and_back(make: Make, tmp_path: Path, name: str) -> None:
    described = archive.unpack(make(name), tmp_path / "here")
    assert archive.verify(tmp_path / "here") == described
    assert described.files[0].path == "wheels/invoke-1.0-py3-none-any.whl"
    assert (tmp_path / "here").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("room", [10, 2000])
def test_a_disk_that_is_full_is_not_the_bundles_fault(make: Make, tmp_path: Path, room: int) -> None:
    path = make()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(LabError, match=r"cannot write .*/wheels/.*whl: File too large") as stopped:
            archive.unpack(path, tmp_path / "here")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert stopped.value.hint == "is there room? df -h"
    assert [one.name for one in tmp_path.iterdir() if "here" in one.name] == []


def test_tar_makes_a_clone_of_it(make: Make, tmp_path: Path) -> None:
    """For somebody who has a stick and no clone."""
    with tarfile.open(make("lab.tar.gz")) as tar:
        names = tar.getnames()
        assert names[0] == NAME
        assert {name.split("/")[0] for name in names} == {"mlops-lab"}
        assert {item.uname for item in tar} == {""}
        tar.extractall(tmp_path / "there", filter="data")
    archive.verify(tmp_path / "there" / "mlops-lab" / "bundle")
    assert (tmp_path / "there" / "mlops-lab" / "inv").stat().st_mode & 0o100


def test_a_second_time_nothing_is_written(make: Make, tmp_path: Path) -> None:
    path, folder = make(), tmp_path / "here"
    archive.unpack(path, folder)
    before = folder.stat().st_ino
    archive.unpack(path, folder)
    assert folder.stat().st_ino == before
    (folder / "wheels" / "invoke-1.0-py3-none-any.whl").unlink()
    archive.unpack(path, folder)
    archive.verify(folder)


@pytest.mark.parametrize("name", SUFFIXES)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97])
def test_one_changed_byte(make: Make, tmp_path: Path, name: str, part: float) -> None:
    path = make(name)
    data = bytearray(path.read_bytes())
    place = int(len(data) * part)
    while not data[place]:  # what fills a block up to its end belongs to no file
        place -= 1
    data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(LabError, match=r"lab\.tar\S* is (damaged|not a bundle)"):
        archive.unpack(path, tmp_path / "here")
    assert not (tmp_path / "here").exists()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize("name", SUFFIXES)
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.9])
def test_cut_off(make: Make, tmp_path: Path, name: str, part: float) -> None:
    path = make(name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(LabError, match=r"lab\.tar\S* is (damaged|not a bundle)"):
        archive.unpack(path, tmp_path / "here")


def test_a_broken_bundle_leaves_the_old_one(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    described = archive.unpack(make("good.tar"), folder)
    bad = make("bad.tar", made="2026-12-01T00:00:00Z")
    bad.write_bytes(bad.read_bytes()[:-50_000])
    with pytest.raises(LabError, match=r"bad\.tar is damaged"):
        archive.unpack(bad, folder)
    assert archive.verify(folder) == described


def rewritten(path: Path, *, add: str = "", drop: str = "") -> Path:
    """The same bundle with a member more or less."""
    made = path.with_name("changed.tar")
    with tarfile.open(path) as old, tarfile.open(made, "w") as new:
        for item in old:
            if not drop or drop not in item.name:
                new.addfile(item, old.extractfile(item))
        if add:
            item = tarfile.TarInfo(add)
            item.size = 3
            new.addfile(item, io.BytesIO(b"bad"))
    return made


def test_a_file_that_the_manifest_does_not_name(make: Make, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"changed\.tar is damaged: mlops-lab/bundle/wheels/evil\.whl is in it"):
        archive.unpack(rewritten(make("lab.tar"), add=f"{FOLDER}wheels/evil.whl"), tmp_path / "here")


def test_a_file_that_is_missing(make: Make, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"changed\.tar is damaged: mlops-lab/bundle/wheels/invoke-1\.0.* is missing"):
        archive.unpack(rewritten(make("lab.tar"), drop="invoke-1.0"), tmp_path / "here")


def test_nothing_is_written_outside(make: Make, tmp_path: Path) -> None:
    """A manifest may name what it wants."""
    path = make("lab.tar")
    with tarfile.open(path) as old:
        described = json.loads(old.extractfile(old.next() or NAME).read())  # type: ignore[union-attr]
    described["files"].append({"path": "../../escaped", "size": 3, "sha256": "0" * 64})
    text = json.dumps(described).encode()
    made = tmp_path / "evil.tar"
    with tarfile.open(made, "w") as new:
        for name, data in ((NAME, text), (f"{FOLDER}../../escaped", b"bad")):
            item = tarfile.TarInfo(name)
            item.size = len(data)
            new.addfile(item, io.BytesIO(data))
    with pytest.raises(LabError, match="would be written outside"):
        archive.unpack(made, tmp_path / "a" / "here")
    assert not (tmp_path / "escaped").exists()


def test_another_machine(make: Make, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"lab\.tar\.zst is for riscv64, this machine is"):
        archive.unpack(make(machine="riscv64"), tmp_path / "here")


def test_another_version_of_the_lab(make: Make) -> None:
    described = archive.peek(make(lock="0" * 64))
    with pytest.raises(LabError, match="made for another version of the lab") as refusal:
        manifest.require_lock(described, "1" * 64, source="lab.tar.zst")
    assert "tar -xf" in refusal.value.hint


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 1}', '{"format": 2}', "[]", '{"format": 1, "files": [{}], "source": []}']
)
def test_manifests_that_are_none(text: str) -> None:
    with pytest.raises(LabError, match=r"lab\.tar"):
        manifest.read(text, source="lab.tar")


def test_files_that_are_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no file"):
        archive.peek(tmp_path / "none.tar")
    with pytest.raises(LabError, match="cannot read"):
        archive.peek(tmp_path)
    (tmp_path / "photo.tar").write_bytes(b"\x89PNG" + bytes(1000))
    with pytest.raises(LabError, match=r"photo\.tar is damaged"):
        archive.peek(tmp_path / "photo.tar")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tmp_path / "photo.tar", "photo")
    with pytest.raises(LabError, match=r"other\.tar is not a bundle of this lab"):
        archive.peek(tmp_path / "other.tar")


@pytest.mark.parametrize("change", ["truncate", "remove"])
def test_unpacked_by_tar_and_changed(make: Make, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "here"
    archive.unpack(make(), folder)
    path = folder / "wheels" / "invoke-1.0-py3-none-any.whl"
    path.write_bytes(b"") if change == "truncate" else path.unlink()
    with pytest.raises(LabError, match=r"wheels/invoke-1\.0-py3-none-any\.whl"):
        archive.verify(folder)
