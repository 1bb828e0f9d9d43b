"""The environment from a bundle's wheels: what `inv` does with a network, without one. The standard library alone, for there is nothing else yet.

Wheels are for one Python, so that Python is looked for; pip and uv are among the wheels, so neither they nor ensurepip need be installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.bundle import archive, locks, manifest
from lab.bundle.manifest import Manifest
from lab.errors import LabError
from lab.messages import t

_PROBE = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.machine())"


def install(bundle: Path, root: Path, environ: Mapping[str, str]) -> None:
    """`root`/.venv from a bundle's file, or from a folder that tar made of one. Raises LabError; the environment counts as made only at the end."""
    state = Path(environ.get("LAB_STATE") or root / ".lab").expanduser()
    folder = bundle if bundle.is_dir() else state / "bundle"
    described = archive.verify(bundle) if bundle.is_dir() else archive.unpack(bundle, folder)
    lock = root / "requirements.lock"
    manifest.require_lock(described, sum_of(lock), source=bundle.name)
    python = find_python(described, environ, source=bundle.name)
    make(python, folder / "wheels", lock, root / ".venv")


def sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_python(described: Manifest, environ: Mapping[str, str], *, source: str) -> str:
    """An interpreter of the bundle's version; raises LabError with those that are here where none is."""
    wanted = (described.python, described.machine)
    named = [environ["LAB_PYTHON"]] if environ.get("LAB_PYTHON") else []
    seen = []
    for name in [*named, f"python{described.python}", sys.executable, "python3"]:
        found = shutil.which(name, path=environ.get("PATH"))
        answer = _ask(found) if found else ()
        if found and answer == wanted:
            return found
        if found:
            seen.append(f"{found} ({' '.join(answer) or t('does not start')})")
    raise LabError(
        t(
            "{source} is for Python {python}; here are {seen}",
            source=source,
            python=described.python,
            seen=", ".join(dict.fromkeys(seen)) or t("none"),
        ),
        t(
            "install Python {python} (LAB_PYTHON=/path/to/it), or make a bundle where Python is this one",
            python=described.python,
        ),
    )


def _ask(python: str) -> tuple[str, ...]:
    done = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, check=False)
    return tuple(done.stdout.split()) if done.returncode == 0 else ()


def make(python: str, wheels: Path, lock: Path, venv: Path) -> None:
    """Every package of the lock and nothing from anywhere else; the wheels that were published are checked against its hashes once more."""
    pip = next(iter(sorted(wheels.glob("pip-*.whl"))), None)
    if pip is None:
        raise LabError(t("there is no pip in {wheels}", wheels=wheels), t("the bundle is not whole: make a new one"))
    kept = venv / "requirements.lock"
    kept.unlink(missing_ok=True)
    _run(
        [python, "-m", "venv", "--without-pip", "--clear", str(venv)],
        t("{python} could not make {venv}", python=python, venv=venv),
    )
    built = sorted(map(str, wheels.parent.glob("built/*.whl")))
    published = venv / "published.lock"
    published.write_text(locks.split(lock.read_text())[0] if built else lock.read_text())
    checked = ["--require-hashes", "--find-links", str(wheels), "-r", str(published)]
    if not _with_uv(venv, wheels, checked, built):
        _with_pip([str(venv / "bin" / "python"), str(pip / "pip")], checked, built)
    _compile(venv)
    shutil.copyfile(lock, kept)


def _with_uv(venv: Path, wheels: Path, checked: Sequence[str], built: Sequence[str]) -> bool:
    """The bundle's own, a tenth of pip's time. What it cannot do, for whatever reason, pip tries again, and says why it cannot either."""
    wheel = next(iter(sorted(wheels.glob("uv-*.whl"))), None)
    if wheel is None:
        return False
    # Beside what it installs: from a cache on the same disk files are links, and nothing of it is left in anybody's home.
    with tempfile.TemporaryDirectory(dir=venv, prefix=".uv-") as folder:
        command = [_program(wheel, Path(folder)), "pip", "install", "--python", str(venv / "bin" / "python")]
        command += ["--offline", "--no-config", "--cache-dir", f"{folder}/cache", *_OPTIONS]
        return all(_call([*command, *what]).returncode == 0 for what in (checked, built) if what)


def _program(wheel: Path, folder: Path) -> str:
    """The one program that the wheel is there for; `pip` would be needed to install it."""
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".data/scripts/uv"))
        path = Path(packed.extract(name, folder))
    path.chmod(0o700)
    return str(path)


def _with_pip(program: Sequence[str], checked: Sequence[str], built: Sequence[str]) -> None:
    command = [*program, "install", "--no-cache-dir", "--no-compile", "--disable-pip-version-check", *_OPTIONS]
    for what in (checked, built):
        if what:
            _run([*command, *what], t("the packages of the bundle could not be installed"))


_OPTIONS = ("--no-index", "--no-deps", "--quiet")


def _compile(venv: Path) -> None:
    """For pods, which only read it, and on all processors. What does not compile (templates, code for Pythons of long ago) is nobody's loss.

    Half of the time would go into tests and into 1,800 models of the Kubernetes client, which no pod imports.
    """
    command = [str(venv / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", "-x", _NOT_IMPORTED]
    subprocess.run([*command, str(venv / "lib")], capture_output=True, check=False)


_NOT_IMPORTED = "/site-packages/(.*/)?(tests?|kubernetes)/"


def _run(command: Sequence[str], failure: str) -> None:
    done = _call(command)
    if done.returncode:
        raise LabError(f"{failure}:\n{(done.stderr or done.stdout).strip()}")


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Nothing of the shell's settings for pip or uv: everything is in the bundle. A program that cannot be started has failed."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON", "UV_"))}
    try:
        return subprocess.run(list(command), capture_output=True, text=True, check=False, env=environ)
    except OSError as error:
        return subprocess.CompletedProcess(list(command), 126, "", str(error))
