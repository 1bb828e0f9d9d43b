"""The real bundle, whole: made of the real lock, carried to a clone that has nothing, where a lab comes up, trains, answers and is checked.

All of that in a network namespace with nothing but a loopback, which counts what tries to leave. It takes minutes and a network to make the
bundle, so it is not in CI, where test_install does the same with a bundle of one package. LAB_TEST_BUNDLE names one that is made already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.bundle.collect import source_files
from tests.lab.bundle.offline import alone, needs_namespaces

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
./inv up --bundle "$BUNDLE" --tenants 01,20
./inv train --n-estimators 20
./inv predict --features 5.1,3.5,1.4,0.2
./inv verify --user 01
./inv verify --user 20
./inv status
"""

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(7200), needs_namespaces]


def environment(**added: str) -> dict[str, str]:
    dropped = ("LAB_", "AWS_", "KUBE", "PYTHON", "VIRTUAL")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, "PATH": f"{Path(sys.executable).resolve().parent}:{kept['PATH']}", **added}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if made := os.environ.get("LAB_TEST_BUNDLE"):
        return Path(made)
    folder = tmp_path_factory.mktemp("bundle")
    command = [str(ROOT / "inv"), "bundle", "-o", str(folder / "lab.tar.zst")]
    subprocess.run(command, env=environment(LAB_STATE=str(folder / "lab"), LAB_CLUSTER="sim"), check=True)
    return folder / "lab.tar.zst"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository as it is now, and nothing that anybody made in it."""
    for name in source_files(ROOT):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def test_a_whole_lab_without_a_network(bundle: Path, clone: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    own = environment(BUNDLE=str(bundle), HOME=str(tmp_path / "home"), LAB_CLUSTER="sim", LAB_AWS="standin")
    try:
        done = subprocess.run(
            alone(["sh", "-ec", SCRIPT], names=False), cwd=clone, env=own, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "setosa" in done.stdout
        assert "attempts to leave: 0" in done.stderr
    finally:
        subprocess.run([str(clone / "inv"), "down", "--purge"], cwd=clone, env=own, check=True)


@pytest.mark.parametrize("part", [0.0001, 0.5, 0.999])
def test_the_real_bundle_damaged_anywhere_is_refused_by_name(bundle: Path, tmp_path: Path, part: float) -> None:
    from lab.bundle import archive
    from lab.errors import LabError

    damaged = tmp_path / "lab.tar.zst"
    shutil.copy(bundle, damaged)
    with damaged.open("r+b") as file:
        file.seek(int(bundle.stat().st_size * part))
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))
    with pytest.raises(LabError, match=r"lab\.tar\.zst is (damaged|not a bundle)"):
        archive.unpack(damaged, tmp_path / "here")
    assert not (tmp_path / "here").exists()
