"""The k3s provider: a server of the lab's own, by a program that records, and an installed service, which is somebody's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml

from lab.clusters import leftovers, network
from lab.clusters.base import IMAGES
from lab.clusters.k3s import K3s
from lab.errors import LabError
from lab.settings import Settings
from tests.lab.clusters.conftest import Server
from tests.lab.clusters.programs import Programs
from tests.lab.clusters.test_kind import shelve

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="k3s runs as root")


@pytest.fixture
def k3s(loaded: Settings, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> K3s:
    """Nothing installed, a default route, and no k3s yet."""
    monkeypatch.setattr(network, "default", lambda: "192.0.2.7")
    return K3s(loaded, service=tmp_path / "k3s.yaml", service_images=tmp_path / "images")


def run_as_k3s(k3s: K3s, programs: Programs, kubeconfig: str) -> None:
    """`k3s server` that writes the kubeconfig and stays, as the real one does."""
    path = programs.bin / "k3s"
    log = f'echo k3s "$@" >> {programs.folder}/calls'
    path.write_text(f"#!/bin/sh\n{log}\ncat > {k3s.folder}/kubeconfig <<'EOF'\n{kubeconfig}\nEOF\nexec sleep 600\n")
    path.chmod(0o755)
    for tool in ("cat", "sleep"):
        (programs.bin / tool).symlink_to(f"/usr/bin/{tool}")


@needs_root
def test_a_server_of_the_labs_own(k3s: K3s, programs: Programs, server: Server) -> None:
    run_as_k3s(k3s, programs, server.kubeconfig.read_text())
    try:
        assert k3s.create() == f"https://127.0.0.1:{k3s.settings.ports.api}"
        assert programs.calls() == [f"k3s server --config {k3s.folder}/config.yaml"]
        assert k3s.create() == "already running"
        assert k3s.capabilities.owned
        assert k3s.question() is None
    finally:
        assert k3s.stop()
    k3s.delete()
    assert not k3s.folder.exists()


def test_configuration(k3s: K3s) -> None:
    k3s._write_files()
    config = yaml.safe_load((k3s.folder / "config.yaml").read_text())
    assert config["https-listen-port"] == k3s.settings.ports.api
    assert config["data-dir"] == f"{k3s.folder}/data"
    assert config["disable-default-registry-endpoint"] is True
    registries = yaml.safe_load(Path(config["private-registry"]).read_text())
    (name,) = registries["mirrors"]
    assert name == "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
    assert registries["mirrors"][name]["endpoint"] == ["http://127.0.0.1:4566"], "plain HTTP is spelled out"
    (argument,) = [text for text in config["kube-apiserver-arg"] if "config-file" in text]
    assert Path(argument.partition("=")[2]).exists()


def test_images_appear_whole_in_its_folder(k3s: K3s, loaded: Settings) -> None:
    names = [image.tag.replace("/", "_").replace(":", "_") + ".tar" for image in IMAGES]
    shelve(loaded, *names)
    assert k3s.load_images(IMAGES) == "5 offered to k3s"
    folder = k3s.folder / "data" / "agent" / "images"
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert k3s.load_images(IMAGES) == "all there"


def test_airgap_images_come_with_the_program(k3s: K3s, loaded: Settings) -> None:
    (loaded.state / "bin").mkdir()
    (loaded.state / "bin" / "k3s-airgap-images-amd64.tar.zst").write_bytes(b"images")
    k3s._write_files()
    assert (k3s.folder / "data/agent/images/k3s-airgap-images-amd64.tar.zst").read_bytes() == b"images"


def test_an_installed_service_is_somebodys(k3s: K3s, server: Server) -> None:
    k3s.service.write_text(server.kubeconfig.read_text())
    assert not k3s.capabilities.owned
    question = k3s.question()
    assert question is not None
    assert str(server.port) in question
    with pytest.raises(LabError, match="nobody agreed"):
        k3s.create()
    k3s.agree()
    k3s.create()
    assert k3s.running()
    assert not k3s.stop(), "it goes on"
    k3s.delete()
    assert k3s.question() is not None


def test_no_default_route(k3s: K3s, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "default", lambda: "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LabError, match="no default route") as refusal:
        k3s.create()
    assert "ip route add default via 203.0.113.255 dev dummy0" in refusal.value.hint
    assert not next(finding for finding in k3s.diagnose() if finding.subject == "default route").good


def test_not_root(k3s: K3s, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="k3s runs as root") as refusal:
        k3s.create()
    assert "--cluster sim" in refusal.value.hint


def test_containers_left_running_are_ended(tmp_path: Path) -> None:
    """A shim is known by its program's path below the data folder: another k3s's shims are not touched."""
    programs = []
    for name in ("ours", "theirs"):
        path = tmp_path / name / "data" / "containerd-shim-runc-v2"
        path.parent.mkdir(parents=True)
        shutil.copy(shutil.which("sleep") or "/bin/sleep", path)
        programs.append(subprocess.Popen([str(path), "600"]))
    ours, theirs = programs
    try:
        assert leftovers.end(tmp_path / "ours" / "data")
        assert not psutil.pid_exists(ours.pid)
        assert theirs.poll() is None
        assert not leftovers.end(tmp_path / "ours" / "data")
    finally:
        theirs.kill()
        for program in programs:
            program.wait()


def test_mounts_are_found_from_the_inside_out(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "a /lab/data/x rw\nb /lab/data/x/y rw\nc /elsewhere rw\nd /lab/data/sp\\040ace rw\ne /lab/database rw\n"
    )
    found = leftovers.mounts(Path("/lab/data"), table)
    assert sorted(found) == ["/lab/data/sp ace", "/lab/data/x", "/lab/data/x/y"]
    assert found.index("/lab/data/x/y") < found.index("/lab/data/x")
