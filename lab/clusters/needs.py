"""What providers need of a machine, as findings of `invoke doctor`; quick, and nothing here raises for what a machine lacks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from lab import tools as catalogue
from lab.clusters import supply
from lab.clusters.base import Finding
from lab.errors import LabError
from lab.host import shell
from lab.messages import mark, t
from lab.settings import Settings


def tools(settings: Settings, names: Sequence[str]) -> list[Finding]:
    """Each program: where it is and which version; another version than the tested one is told, not refused."""
    try:
        known = catalogue.known(supply.architecture())
    except LabError as error:
        return [Finding(False, mark("tools"), error.message, error.hint)]
    return [_tool(settings, known[name]) for name in names]


def _tool(settings: Settings, tool: catalogue.Tool) -> Finding:
    found = catalogue.find(settings.state, tool.name)
    if found is None:
        cure = t(
            "./inv tools {name} fetches {version}, or install it: {install}",
            name=tool.name,
            version=tool.version,
            install=tool.install,
        )
        return Finding(False, tool.name, t("not installed"), cure)
    options = ("version", "--client") if tool.name == "kubectl" else ("version",)
    try:
        said = re.search(r"v[0-9]+\.[0-9]+\.[0-9]+(\+k3s[0-9]+)?", shell.run([found, *options], seconds=10))
    except LabError as error:
        return Finding(
            False, tool.name, error.message.splitlines()[0], t("./inv tools {name} fetches another one", name=tool.name)
        )
    version = said.group() if said else t("of an unknown version")
    other = "" if version == tool.version else t("; the lab is made for {version}", version=tool.version)
    return Finding(True, tool.name, f"{found} {version}{other}")


def docker() -> list[Finding]:
    """The engine, where it keeps images, and whether nodes can be made of its containers."""
    try:
        lines = supply.docker("info", "--format", _INFO, seconds=10).splitlines()
    except LabError as error:
        return [Finding(False, "Docker", error.message.splitlines()[0], error.hint)]
    version, driver, status, cgroups, memory, processors, folder = (*lines, *[""] * 7)[:7]
    store = "containerd" if "containerd.snapshotter" in status else driver
    room = int(memory) / GIB if memory.isdigit() else 0.0
    count = int(processors) if processors.isdigit() else 0
    return [
        Finding(True, "Docker", t("engine {version}, images in {store}", version=version, store=store)),
        _finding(cgroups == "2", mark("control groups"), t("version {cgroups}", cgroups=cgroups), _CGROUPS),
        _finding(room >= 6, mark("Docker's memory"), t("{room:.1f} GiB, 6 wanted", room=room), _MEMORY),
        _finding(count >= 2, mark("Docker's processors"), t("{count}, 2 wanted", count=count), _PROCESSORS),
        *(_disk(Path(folder)) if folder else []),
    ]


def _disk(folder: Path) -> list[Finding]:
    """Where the engine keeps images and nodes; one in a virtual machine keeps them in a place that is not this machine's to measure."""
    try:
        free = shutil.disk_usage(folder).free / GIB
    except OSError:
        return []
    seen = t("{free:.1f} GiB free at {folder}, 10 wanted", free=free, folder=folder)
    return [_finding(free >= 10, mark("Docker's disk"), seen, _DISK)]


def _finding(good: bool, subject: str, seen: str, cure: str) -> Finding:
    return Finding(good, subject, seen, "" if good else t(cure))


GIB = 2**30
_INFO = (
    "{{.ServerVersion}}\n{{.Driver}}\n{{json .DriverStatus}}\n{{.CgroupVersion}}\n"
    "{{.MemTotal}}\n{{.NCPU}}\n{{.DockerRootDir}}"
)
_CGROUPS = mark("Kubernetes 1.35 and newer want version 2: boot with systemd.unified_cgroup_hierarchy=1")
_MEMORY = mark("./inv up --tenants 01,20, or give Docker's virtual machine more")
_PROCESSORS = mark("it works, slowly; start fewer tenants, or give Docker's virtual machine more")
_DISK = mark("docker system df shows what takes it; another data-root goes into /etc/docker/daemon.json")
