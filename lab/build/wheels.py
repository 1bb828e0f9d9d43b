"""Wheels for an image, downloaded by this machine's pip with its own configuration: mirrors, proxies and certificates that work here work for images.

A folder is complete or not there at all (it is filled under another name and moved), every file in it was checked against the lock's hashes,
and equal wheels of several images are one file on the disk. With the folders in place a build needs no network.

Most of pip's time goes into asking an index about one package after another, so several pips share a lock's packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from lab.errors import LabError, ToolMissing
from lab.messages import t

WIDTH, FEW = 4, 15
"""Downloads at a time, and how many packages are worth a pip of their own, which takes a second to start."""
Report = Callable[[str], None]
"""Told how far a download is: "143 of 210 packages"."""


@dataclass(frozen=True)
class Target:
    """What wheels must fit: the base image's Python, processor and C library."""

    python: str
    """One patch release (3.11.9), or a minor one (3.11): then any of its patch releases, so that wheels travel to another machine."""
    machine: str
    glibc: str

    @property
    def name(self) -> str:
        return f"python{self.python}-{self.machine}-glibc{self.glibc}"

    def options(self) -> list[str]:
        """pip's flags for exactly these wheels; pip itself knows older manylinux names only by a few aliases, so all are spelled out."""
        minor = int(self.glibc.partition(".")[2])
        platforms = [f"manylinux_2_{version}_{self.machine}" for version in range(minor, 4, -1)]
        platforms += [f"{alias}_{self.machine}" for alias in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
        tag = "cp" + "".join(self.python.split(".")[:2])
        choice = [
            "--python-version",
            self.python,
            "--implementation",
            "cp",
            "--abi",
            tag,
            "--abi",
            "abi3",
            "--abi",
            "none",
        ]
        return [*choice, *(word for name in platforms for word in ("--platform", name))]


PROBE = "import sys, platform; print('%d.%d.%d' % sys.version_info[:3], platform.machine(), platform.libc_ver()[1])"


def parse_target(output: str, base: str) -> Target:
    """What PROBE printed in the base image."""
    words = output.split()
    if len(words) != 3:
        raise LabError(
            t("the base image {base} has no glibc, which the wheels need", base=base),
            t("use one made from Debian: --base python:3.11-slim"),
        )
    return Target(*words)


def provide(lock: Path, target: Target, store: Path, report: Report = lambda text: None) -> list[Path]:
    """The wheels of `lock`, downloaded where they are not in `store` yet. Raises LabError with pip's own words."""
    key = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = store / target.name / f"{lock.parent.name}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent):
        if folder.is_dir():
            return sorted(folder.glob("*.whl"))
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as draft:
            _download(lock, target, Path(draft), folder.parent, report=report)
            _share(Path(draft), folder.parent)
            _replace(Path(draft), folder, lock.parent.name)
    return sorted(folder.glob("*.whl"))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One download at a time, between processes too: the second image then finds most of its wheels with the first."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def applicable(lock: str, target: Target) -> list[str]:
    """The lock's packages that the target needs, without their markers: pip would judge those by the Python that runs it, not by the target's."""
    facts = list(_facts(target))
    lines = []
    for entry in re.findall(r"^[A-Za-z0-9].*(?:\n[ \t]+--hash.*)*", lock, re.MULTILINE):
        head, _, hashes = entry.partition("\n")
        requirement, _, marker = head.rstrip(" \\").partition(" ; ")
        if not marker or any(Marker(marker).evaluate(one) for one in facts):
            lines.append(f"{requirement} \\\n{hashes}\n")
    return lines


def _facts(target: Target) -> Iterator[dict[str, str]]:
    """What markers ask about, for every Python that the target may be."""
    numbers = target.python.split(".")
    versions = [target.python] if len(numbers) > 2 else [f"{target.python}.{patch}" for patch in range(_PATCHES)]
    for version in versions:
        facts = {"python_version": ".".join(numbers[:2]), "python_full_version": version}
        yield facts | {"platform_machine": target.machine, **_LINUX}


_LINUX = {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"}
_PATCHES = 30
"""Patch releases that a minor release may come to have; 3.11 had fifteen in five years."""


def _download(lock: Path, target: Target, into: Path, known: Path, *, report: Report) -> None:
    """`known` holds other images' wheels of the same target: what is there needs no network."""
    links = [word for folder in sorted(known.glob("[!.]*")) for word in ("--find-links", str(folder))]
    # Which Python a package is for the lock has settled; pip takes "3.11" for 3.11.0 and would refuse what wants 3.11.5.
    strict = ["--require-hashes", "--no-deps", "--ignore-requires-python", "--only-binary", ":all:"]
    command = [*pip(), "download", *_QUIETLY, *strict, *target.options(), *links, "--dest", str(into)]
    wanted = applicable(lock.read_text(), target)
    seen = _Count(len(wanted), report)

    def fetch(share: Sequence[str]) -> str:
        return _fetch(command, "".join(share), seen)

    with ThreadPoolExecutor(WIDTH, thread_name_prefix="pip") as pool:
        failed = next((said for said in pool.map(fetch, _shares(wanted)) if said), "")
    if failed:
        raise LabError(
            t("pip cannot download the packages of {name}:\n{failed}", name=lock.parent.name, failed=failed),
            t("is there a network? pip config list shows what pip uses"),
        )


_QUIETLY = ("--progress-bar", "off", "--disable-pip-version-check")


def _shares(wanted: Sequence[str]) -> list[Sequence[str]]:
    """Dealt out like cards: a lock is sorted by name, and packages of one project (large ones) stand together.

    One that the lock has in two versions, for different Pythons, is in two shares: one pip refuses that.
    """
    first = {entry.partition("==")[0]: entry for entry in reversed(wanted)}
    again = [entry for entry in wanted if first[entry.partition("==")[0]] != entry]
    once = [entry for entry in wanted if entry not in again]
    width = min(WIDTH, len(once) // FEW) or 1
    return [once[start::width] for start in range(width)] + (_shares(again) if again else [])


class _Count:
    """Packages that were come to, by all pips together."""

    def __init__(self, total: int, report: Report) -> None:
        self._lock = threading.Lock()
        self._seen, self._total, self._report = 0, total, report

    def another(self) -> None:
        with self._lock:
            self._seen += 1
            self._report(t("{seen} of {total} packages", seen=self._seen, total=self._total))


def _fetch(command: Sequence[str], requirements: str, seen: _Count) -> str:
    """One pip; what it said last where it failed, else nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, tempfile.TemporaryFile("w+") as errors:
        file.write(requirements)
        file.flush()
        call = [*command, "-r", file.name]
        with subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True) as run:
            assert run.stdout is not None
            said = ""
            for said in run.stdout:
                if said.startswith(("Collecting ", "Processing ")):  # the second for what lies in a folder
                    seen.another()
        errors.seek(0)
        return "\n".join((errors.read() or said).strip().splitlines()[-4:]) if run.returncode else ""


def _share(draft: Path, known: Path) -> None:
    """Equal wheels become links to one file; names of wheels say their version and build, and their hashes were checked."""
    for wheel in draft.iterdir():
        for other in known.glob(f"[!.]*/{wheel.name}"):
            if other.stat().st_size == wheel.stat().st_size:
                wheel.unlink()
                os.link(other, wheel)
                break


def _replace(draft: Path, folder: Path, name: str) -> None:
    """Move into place, and away with what older locks of the same image left."""
    draft.chmod(0o755)
    draft.rename(folder)
    draft.mkdir()  # for TemporaryDirectory, which wants to remove something
    for old in folder.parent.glob(f"{name}-????????????"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def pip() -> list[str]:
    """A pip: this environment's, that of the Python it was made from, or the one on PATH (uv makes environments without one)."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, str(base)):
        found = (
            subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
            if Path(python).exists()
            else None
        )
        if found is not None and found.returncode == 0:
            return [python, "-m", "pip"]
    if found_pip := shutil.which("pip3") or shutil.which("pip"):
        return [found_pip]
    raise ToolMissing(
        t("images are built of wheels that pip downloads, and there is no pip"), "sudo apt-get install python3-pip"
    )
