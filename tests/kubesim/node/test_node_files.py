"""Logs, atomic folders and volumes on a real disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim.node import atomic, logs, volumes
from kubesim.node.atomic import File, UnsafePath
from kubesim.node.volumes import VolumeError


def test_log_lines_keep_streams_and_partial_ends(tmp_path: Path) -> None:
    writer = logs.Writer(str(tmp_path / "c" / "0.log"))
    writer.write("stdout", b"one\ntw")
    writer.write("stderr", b"oops\n")
    writer.write("stdout", b"o\nno end")
    writer.close()
    lines = list(logs.read(tmp_path / "c" / "0.log"))
    assert [(line.stream, line.text) for line in lines] == [
        ("stdout", b"one\n"),
        ("stderr", b"oops\n"),
        ("stdout", b"two\n"),
        ("stdout", b"no end"),
    ]
    assert all(line.time.endswith("Z") and len(line.time) == 30 for line in lines)


def test_long_lines_are_split_and_read_back_whole(tmp_path: Path) -> None:
    writer = logs.Writer(str(tmp_path / "0.log"))
    writer.write("stdout", b"x" * 40_000 + b"\n")
    writer.close()
    records = list(logs.read(tmp_path / "0.log"))
    assert len(records) == 3
    assert b"".join(line.text for line in records) == b"x" * 40_000 + b"\n"


def test_rotation_keeps_a_bounded_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ROTATE_BYTES", 1000)
    writer = logs.Writer(str(tmp_path / "0.log"))
    for number in range(200):
        writer.write("stdout", b"line %03d\n" % number)
    writer.close()
    assert len(logs.files(tmp_path / "0.log")) == logs.KEEP_FILES
    kept = [line.text for line in logs.read(tmp_path / "0.log")]
    assert kept == [b"line %03d\n" % number for number in range(200 - len(kept), 200)]


def test_a_folder_changes_all_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    assert atomic.write(folder, {"a": File(b"1"), "d/b": File(b"2", 0o600)})
    before = (folder / "..data").readlink()
    assert not atomic.write(folder, {"a": File(b"1"), "d/b": File(b"2", 0o600)})
    assert atomic.write(folder, {"a": File(b"3")})
    assert (folder / "a").read_text() == "3"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["..data", "a", (folder / "..data").readlink().name]
    )
    assert (folder / "..data").readlink() != before


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "..data", ""])
def test_payload_paths_cannot_leave_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(UnsafePath):
        atomic.write(tmp_path / "v", {path: File(b"")})


def test_sub_paths_cannot_leave_the_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "link").symlink_to("/etc")
    assert volumes.sub_path(volume, "a/b").is_dir()
    for wrong in ("../x", "/etc", "link", "link/x"):
        with pytest.raises(VolumeError, match="leaves its volume"):
            volumes.sub_path(volume, wrong)
