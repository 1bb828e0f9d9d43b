"""`./inv up --bundle FILE` on a machine without a network, an environment or pip: in a network namespace that has no route anywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.bundle import archive, install, manifest
from lab.bundle.manifest import Manifest
from lab.errors import LabError
from tests.lab.bundle.conftest import Make
from tests.lab.bundle.offline import alone, needs_namespaces

OTHER = "3.99"


def inv(clone: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LAB_", "PIP_", "UV_"))}
    path = f"{Path(sys.executable).resolve().parent}:{kept['PATH']}"
    return subprocess.run(
        alone([str(clone / "inv"), *arguments]),
        env={**kept, "PATH": path, "LAB_STATE": str(clone / "state"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(400)
@needs_namespaces
def test_one_command_with_a_clone(make: Make, clone: Path) -> None:
    bundle = make()
    done = inv(clone, "up", "--bundle", str(bundle))
    assert done.returncode == 0, done.stderr
    assert f"invoked up --bundle {bundle}" in done.stdout
    assert "attempts to leave: 0" in done.stderr
    again = inv(clone, "up", f"--bundle={bundle}")
    assert "installing" not in again.stderr, "the environment is there"


@pytest.mark.timeout(400)
@needs_namespaces
def test_two_commands_without_a_clone(make: Make, tmp_path: Path) -> None:
    """Here with a Python and nothing else: no uv, no pip."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / f"python{manifest.here()[1]}").symlink_to(Path(sys.executable).resolve())
    subprocess.run(["tar", "-xf", str(make("lab.tar.gz")), "-C", str(tmp_path)], check=True)
    done = inv(tmp_path / "mlops-lab", "up", PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert "invoked up" in done.stdout
    assert "attempts to leave: 0" in done.stderr


@pytest.mark.timeout(400)
@needs_namespaces
def test_without_a_bundle_it_says_so(clone: Path) -> None:
    done = inv(clone, "up", PATH=f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "--bundle FILE" in done.stderr
    assert "attempts to leave: 0" not in done.stderr, "the counter counts"


def test_a_bundle_that_is_damaged(make: Make, clone: Path) -> None:
    bundle = make()
    bundle.write_bytes(bundle.read_bytes()[:-1000])
    with pytest.raises(LabError, match=r"lab\.tar\.zst is damaged"):
        install.install(bundle, clone, {"LAB_STATE": str(clone / "state")})
    assert not (clone / ".venv").exists()


def test_another_python(make: Make, clone: Path) -> None:
    environ = {"LAB_STATE": str(clone / "state"), "PATH": os.environ["PATH"]}
    with pytest.raises(LabError, match=rf"lab\.tar\.zst is for Python {OTHER}; here are .*{sys.executable}") as refusal:
        install.install(make(python=OTHER), clone, environ)
    assert f"install Python {OTHER}" in refusal.value.hint


def test_the_python_of_the_bundle_is_taken(tmp_path: Path) -> None:
    """Not the newest that is there: wheels are for one."""
    machine, python = manifest.here()
    described = Manifest("sim", machine, python, "", "", ())
    (tmp_path / "python3").write_text("#!/bin/sh\necho 3.99 " + machine)
    (tmp_path / f"python{python}").symlink_to(sys.executable)
    (tmp_path / "python3").chmod(0o755)
    found = install.find_python(described, {"PATH": str(tmp_path)}, source="x")
    assert found == str(tmp_path / f"python{python}")
    named = shutil.copy(tmp_path / f"python{python}", tmp_path / "named", follow_symlinks=False)
    found = install.find_python(described, {"PATH": str(tmp_path), "LAB_PYTHON": str(named)}, source="x")
    assert found == str(named)


@pytest.mark.timeout(400)
def test_a_wheel_that_the_lock_does_not_know(make: Make, clone: Path, tmp_path: Path) -> None:
    """The manifest's sums are the bundle's own word; the lock's are the lab's."""
    bundle = make()
    (clone / "requirements.lock").write_text("invoke==1.0 --hash=sha256:" + "0" * 64 + "\n")
    described = archive.unpack(bundle, tmp_path / "here")
    with pytest.raises(LabError, match="could not be installed"):
        install.make(sys.executable, tmp_path / "here" / "wheels", clone / "requirements.lock", clone / ".venv")
    assert described.lock != install.sum_of(clone / "requirements.lock")
    assert not (clone / ".venv" / "requirements.lock").exists()


def uv_wheel(folder: Path, program: str) -> Path:
    """As uv is published, with another program in it."""
    path = folder / "uv-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("uv-1.0.data/scripts/uv", program)
    return path


@pytest.mark.timeout(400)
@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "no program of any machine"])
def test_where_the_bundles_uv_does_not_start_pip_takes_over(
    make: Make, clone: Path, tmp_path: Path, program: str
) -> None:
    archive.unpack(make(), tmp_path / "here")
    uv_wheel(tmp_path / "here" / "wheels", program)
    install.make(sys.executable, tmp_path / "here" / "wheels", clone / "requirements.lock", clone / ".venv")
    assert (clone / ".venv" / "requirements.lock").exists()
    assert list(clone.glob(".venv/lib/python*/site-packages/invoke/__main__.py"))


def test_the_bundles_uv_is_told_to_ask_nobody_and_to_leave_nothing(make: Make, clone: Path, tmp_path: Path) -> None:
    archive.unpack(make(), tmp_path / "here")
    said = tmp_path / "said"
    uv_wheel(tmp_path / "here" / "wheels", f'#!/bin/sh\necho "$*" >> {said}\n')
    install.make(sys.executable, tmp_path / "here" / "wheels", clone / "requirements.lock", clone / ".venv")
    (asked,) = said.read_text().splitlines()
    assert asked.startswith(f"pip install --python {clone}/.venv/bin/python --offline --no-config --cache-dir ")
    assert f"--no-index --no-deps --quiet --require-hashes --find-links {tmp_path}/here/wheels" in asked
    assert not list((clone / ".venv").glob(".uv-*"))


def test_what_is_compiled() -> None:
    """Wherever the clone lies, in a folder called tests too."""
    left = re.compile(install._NOT_IMPORTED)
    assert left.search("/a/site-packages/pandas/tests/io/test_s3.py")
    assert left.search("/a/site-packages/kubernetes/client/api_client.py")
    assert not left.search("/home/me/tests/kubernetes/lab/.venv/lib/python3.11/site-packages/pandas/io/api.py")
