"""A bundle of one wheel, made here: no network has a part in these tests."""

from __future__ import annotations

import ensurepip
import hashlib
import shutil
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.bundle import archive, manifest
from lab.bundle.collect import listed
from lab.bundle.install import sum_of
from lab.bundle.manifest import Manifest

ROOT = Path(__file__).resolve().parents[3]
Make = Callable[..., Path]


def wheel(folder: Path, name: str, module: str) -> Path:
    """A wheel with one package whose __main__ is `module`."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{name}/__main__.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for part, text in {**files, f"{info}/RECORD": "\n".join([*record, f"{info}/RECORD,,"]) + "\n"}.items():
            packed.writestr(part, text)
    return path


def _digest(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of the lab as opens a bundle, with a lock of one package called invoke that says what it was asked for."""
    folder = tmp_path / "clone"
    (folder / "lab").mkdir(parents=True)
    for name in ("inv", "lab/__init__.py", "lab/errors.py"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for package in ("bundle", "messages"):
        shutil.copytree(ROOT / "lab" / package, folder / "lab" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "inv").chmod(0o755)
    (folder / "program.py").write_text("import runpy; runpy.run_module('invoke', run_name='__main__')\n")
    made = wheel(tmp_path, "invoke", "import sys; print('invoked', *sys.argv[1:])")
    (folder / "requirements.lock").write_text(f"invoke==1.0 \\\n    --hash=sha256:{sum_of(made)}\n")
    return folder


@pytest.fixture
def make(tmp_path: Path, clone: Path) -> Make:
    """Writes a bundle for the clone; what is given replaces the manifest's own."""

    def written(name: str = "lab.tar.zst", **replaced: Any) -> Path:
        pip = next(iter(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")), None)
        if pip is None:
            pytest.skip("this Python has no pip of its own to bundle")
        files = {f"wheels/{path.name}": path for path in (pip, tmp_path / "invoke-1.0-py3-none-any.whl")}
        source = {str(path.relative_to(clone)): path for path in clone.rglob("*") if path.is_file()}
        machine, python = manifest.here()
        made = ("sim", machine, python, sum_of(clone / "requirements.lock"), "2026-11-22T00:00:00Z")
        described = replace(Manifest(*made, files=listed(files), source=listed(source)), **replaced)
        archive.write(tmp_path / name, described, files, source)
        return tmp_path / name

    return written
