"""What is fetched is what its publisher released, or nothing; from a server of the test's own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from lab import tools
from lab.errors import LabError, ToolMissing
from lab.tools import Tool

PROGRAM, IMAGES = b"#!/bin/sh\necho v1\n", b"images of it"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "prog-arm64").write_bytes(PROGRAM)
    (folder / "images-arm64.tar").write_bytes(IMAGES)
    (folder / "sums").write_text(f"{sha(PROGRAM)}  prog-arm64\n{sha(IMAGES)} *images-arm64.tar\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def catalogue(tmp_path: Path, site: str, sha256: str) -> Tool:
    entry = {"version": "v1", "url": f"{site}/prog{{-arch}}", "sha256": {"arm64": sha256}, "install": "https://example"}
    entry["with"] = {"url": f"{site}/images-{{arch}}.tar", "sums": f"{site}/sums"}
    (tmp_path / "tools.yaml").write_text(yaml.safe_dump({"prog": entry}))
    return tools.known("arm64", tmp_path / "tools.yaml")["prog"]


def test_fetched_once(tmp_path: Path, site: str) -> None:
    tool, said = catalogue(tmp_path, site, sha(PROGRAM)), list[str]()
    program, images = tools.fetch(tmp_path / "lab", tool, say=said.append)
    assert program.read_bytes() == PROGRAM
    assert program.stat().st_mode & 0o111
    assert images.read_bytes() == IMAGES
    assert tools.find(tmp_path / "lab", "prog") == str(program)
    said.clear()
    tools.fetch(tmp_path / "lab", tool, say=said.append)
    assert all("already" in line for line in said)


def test_another_program_is_not_kept(tmp_path: Path, site: str) -> None:
    tool = catalogue(tmp_path, site, sha(b"what was released"))
    with pytest.raises(LabError, match=rf"{site}/prog-arm64 is not what it should be: its SHA-256 is {sha(PROGRAM)}"):
        tools.fetch(tmp_path / "lab", tool, say=lambda _: None)
    assert list((tmp_path / "lab" / "bin").iterdir()) == []
    with pytest.raises(ToolMissing, match="prog is not installed") as missing:
        tools.need(tmp_path / "lab", "prog", tool)
    assert "./inv tools prog fetches v1" in missing.value.hint


def test_a_list_of_sums_that_does_not_agree(tmp_path: Path, site: str) -> None:
    (tmp_path / "site" / "sums").write_text(f"{sha(b'other')} prog-arm64\n{sha(IMAGES)} images-arm64.tar\n")
    with pytest.raises(LabError, match=r"lab/tools\.yaml [0-9a-f]"):
        tools.fetch(tmp_path / "lab", catalogue(tmp_path, site, sha(PROGRAM)), say=lambda _: None)
    assert not (tmp_path / "lab" / "bin" / "images-arm64.tar").exists()


def test_nothing_answers(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"cannot fetch http://127\.0\.0\.1:1/prog-arm64") as refusal:
        tools.fetch(tmp_path, catalogue(tmp_path, "http://127.0.0.1:1", "0" * 64), say=lambda _: None)
    assert "--bundle" in refusal.value.hint


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_catalogue(arch: str) -> None:
    known = tools.known(arch)
    assert set(known) == {"kind", "kubectl", "k3s"}
    for tool in known.values():
        assert tool.version in tool.program.url.replace("%2B", "+")
        assert len(tool.program.sha256) == 64
        assert tool.program.url.startswith("https://")
    assert known["k3s"].program.url.endswith("/k3s" if arch == "amd64" else "/k3s-arm64")
    with pytest.raises(LabError, match="for riscv64"):
        tools.known("riscv64")
