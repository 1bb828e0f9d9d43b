"""The bootstrap script: one clear line for each thing a machine may lack, and no work when the environment is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.bundle.install import _NOT_IMPORTED

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "awk", "basename", "cmp", "cp", "df", "dirname", "flock", "printf", "readlink", "rm", "uname", "cat")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the script and a lock file, and a PATH of its own in `bin`."""
    folder = tmp_path / "a clone"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "inv", folder / "inv")
    (folder / "requirements.lock").write_text("invoke==0\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"{tool} is not on this machine"
        (folder / "bin" / tool).symlink_to(found)
    return folder


def stand_in(clone: Path, tool: str, script: str) -> None:
    path = clone / "bin" / tool
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def inv(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(clone / "bin"), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run([str(clone / "inv"), *arguments], env=environ, capture_output=True, text=True, check=False)


def refusal(clone: Path) -> str:
    done = inv(clone, "up")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("inv: ")
    assert not (clone / ".venv" / "requirements.lock").exists(), "a failed install must not count as done"
    return done.stderr


def test_no_python(clone: Path) -> None:
    assert "needs Python 3.11 or newer (found: none)" in refusal(clone)


def test_python_too_old(clone: Path) -> None:
    stand_in(clone, "python3", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    assert "needs Python 3.11 or newer (found: Python 3.9.2)" in refusal(clone)


def test_no_venv_module(clone: Path) -> None:
    stand_in(clone, "python3", 'case "$2" in *venv*) exit 1;; *) exit 0;; esac')
    assert "has no venv module; install it, for example: sudo apt-get install python3-venv" in refusal(clone)


def test_not_linux(clone: Path) -> None:
    stand_in(clone, "uname", "echo Darwin")
    assert "this lab runs on Linux; on Windows use WSL2" in refusal(clone)


def test_no_disk(clone: Path) -> None:
    stand_in(clone, "python3", "exit 0")
    stand_in(clone, "df", "echo head; echo /dev/sda 100 90 500000 99% /")
    assert "needs 2.5 GB of free disk" in refusal(clone)


def test_packages_that_cannot_be_installed(clone: Path) -> None:
    (clone / "bin" / "mkdir").symlink_to(shutil.which("mkdir") or "")
    stand_in(
        clone,
        "python3",
        'case "$2" in venv) mkdir -p "$3/bin"; printf "#!/bin/sh\\nexit 1\\n" > "$3/bin/python"; chmod +x "$3/bin/python";; esac',
    )
    (clone / "bin" / "chmod").symlink_to(shutil.which("chmod") or "")
    assert "the packages could not be installed" in refusal(clone)


def test_with_the_environment_in_place_it_only_passes_the_arguments_on(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(clone / "requirements.lock", clone / ".venv" / "requirements.lock")
    python = clone / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    python.chmod(0o755)
    done = inv(clone, "train", "--run-name", "two words")
    assert done.stdout == f"{clone}/program.py|train|--run-name|two words|"


def test_what_is_compiled_is_what_a_bundle_compiles() -> None:
    script = (ROOT / "inv").read_text()
    assert f"-x '{_NOT_IMPORTED}'" in script
    assert "--compile-bytecode" not in script
