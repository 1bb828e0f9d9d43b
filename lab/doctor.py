"""`invoke doctor`: what the lab needs of this machine, what was seen, and the cure where it is not enough."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from lab import kubeconfig, tools
from lab.clusters.base import Finding
from lab.errors import LabError
from lab.host import ports, proxies
from lab.messages import mark, t
from lab.world import World

GIB = 1024**3


def diagnose(world: World) -> list[Finding]:
    state = world.settings.state
    findings = [_python(), _memory(), _cores(), _disk(state), _writable(state), _loopback()]
    findings.append(inotify(_inotify_limits(), containers=_uses_docker(world)))
    findings += [*_proxies(os.environ), *_authorities(os.environ), *_certificates(world)]
    findings += [*world.provider.diagnose(), *world.aws.diagnose(), *_node_ports(world), *_tools(world)]
    return findings


def _proxies(environ: Mapping[str, str]) -> list[Finding]:
    """The lab itself goes past them; kubectl and aws in a shell of yours do so only if no_proxy says it."""
    found = proxies.set_here(environ)
    if not found:
        return [Finding(True, mark("proxies"), t("none"))]
    missing = proxies.bypass(environ)
    broken = [f"{name}={value}" for name, value in found.items() if not urlsplit(value).hostname]
    if broken:
        return [
            Finding(
                False,
                mark("proxies"),
                t("not an address: {broken}", broken=", ".join(broken)),
                t("unset {found}, or mend it", found=" ".join(found)),
            )
        ]
    cure = f"export no_proxy={missing['no_proxy']} NO_PROXY={missing['no_proxy']}" if missing else ""
    return [
        Finding(
            not missing, mark("proxies"), f"{', '.join(found)}{'' if missing else t('; not for local names')}", cure
        )
    ]


def _authorities(environ: Mapping[str, str]) -> list[Finding]:
    """Files of certificate authorities that the environment names (a company's proxy wants them) must be there."""
    named = {key: environ[key] for key in _AUTHORITY_FILES if environ.get(key)}
    gone = [f"{key}={value}" for key, value in named.items() if not Path(value).exists()]
    cure = t("unset {gone}, or name a file that exists", gone=" ".join(text.partition("=")[0] for text in gone))
    return [Finding(False, mark("authority files"), t("not there: {gone}", gone=", ".join(gone)), cure)] if gone else []


_AUTHORITY_FILES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
)


def _certificates(world: World) -> list[Finding]:
    """The administrator's and the tenants' kubeconfigs: those that end within a week, and those that cannot be read."""
    paths = [world.kubeconfig, *sorted((world.settings.state / "users").glob("*/kubeconfig"))]
    there = [path for path in paths if path.exists()]
    ending = {path: why for path in there if (why := _ending(path))}
    if not there:
        return []
    if not ending:
        return [
            Finding(True, mark("certificates"), t("{there} kubeconfigs, good for a week and more", there=len(there)))
        ]
    worst = next(iter(ending))
    seen = t(
        "{ending} of {there}: {worst} {when}",
        ending=len(ending),
        there=len(there),
        worst=worst.relative_to(world.settings.state),
        when=ending[worst],
    )
    return [Finding(False, mark("certificates"), seen, f"rm {' '.join(map(str, ending))}; ./inv up writes them anew")]


def _ending(path: Path) -> str:
    from cryptography import x509

    try:
        certificate = kubeconfig.read([path]).certificate
        if not certificate:
            return ""  # a token, or a program that gets one
        ends = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    except (LabError, ValueError):
        return t("cannot be read")
    return t("ends {ends:%Y-%m-%d}", ends=ends) if ends < datetime.now(UTC) + timedelta(days=7) else ""


def _python() -> Finding:
    seen = t(
        "Python {major}.{minor}.{micro} on {platform}",
        major=sys.version_info.major,
        minor=sys.version_info.minor,
        micro=sys.version_info.micro,
        platform=sys.platform,
    )
    return Finding(
        sys.version_info >= (3, 11) and sys.platform.startswith("linux"),
        "Python",
        seen,
        t("Python 3.11 or newer on Linux"),
    )


def _memory() -> Finding:
    free = psutil.virtual_memory().available / GIB
    return Finding(
        free >= 3,
        mark("memory"),
        t("{free:.1f} GiB available, 3 wanted", free=free),
        "" if free >= 3 else t("close programs, or ./inv up --tenants 01,20"),
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    return Finding(
        cores >= 2,
        mark("processors"),
        t("{cores} available, 2 wanted", cores=cores),
        "" if cores >= 2 else t("it works, slowly; start fewer tenants"),
    )


def _disk(state: Path) -> Finding:
    folder = next(path for path in (state, *state.parents) if path.exists())
    free = shutil.disk_usage(folder).free / GIB
    return Finding(
        free >= 2,
        mark("disk"),
        t("{free:.1f} GiB free at {folder}, 2 wanted", free=free, folder=folder),
        "" if free >= 2 else t("free some, or LAB_STATE=/another/disk"),
    )


def inotify(limits: Mapping[str, int], *, containers: bool) -> Finding:
    """Every kubelet, containerd and operator takes some: three nodes in containers use up the usual 128 instances, and fail in odd ways."""
    least = _NODES if containers else _PROCESSES
    seen = ", ".join(f"{name.removeprefix('max_user_')} {value}" for name, value in limits.items())
    low = [f"fs.inotify.{name}={_NODES[name]}" for name, value in limits.items() if value < least[name]]
    return Finding(not low, "inotify", seen, f"sudo sysctl -w {' '.join(low)}" if low else "")


_NODES = {"max_user_instances": 512, "max_user_watches": 65536}
_PROCESSES = {"max_user_instances": 128, "max_user_watches": 8192}


def _inotify_limits(folder: Path = Path("/proc/sys/fs/inotify")) -> dict[str, int]:
    """Those that this kernel shows."""
    return {name: int((folder / name).read_text()) for name in _NODES if (folder / name).exists()}


def _writable(state: Path) -> Finding:
    folder = next(path for path in (state, *state.parents) if path.exists())
    good = os.access(folder, os.W_OK)
    return Finding(
        good,
        mark("lab folder"),
        f"{state}{'' if good else t(' cannot be written')}",
        "" if good else "LAB_STATE=/a/folder/of/yours",
    )


def _loopback() -> Finding:
    """Pods and Services have addresses in 127.0.0.0/8: all of it must be local, as Linux has it by default.

    Asked by connecting: one may listen there where it is down.
    """
    try:
        with socket.create_server(("127.10.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        return Finding(
            False,
            mark("loopback addresses"),
            f"127.10.0.1: {error.strerror}",
            t("the network namespace has no loopback: ip link set lo up"),
        )
    return Finding(True, mark("loopback addresses"), t("127.0.0.0/8 is local"))


def _held(port: int) -> str:
    """The port, and the process that has it where it is this user's to see."""
    holder = ports.listener(port).partition(" (")[0]
    return f"{port} ({holder})" if holder else str(port)


def _node_ports(world: World) -> list[Finding]:
    wanted = world.settings.ports.model_dump()
    names = ("mlflow", "serving", "dashboard", "pipelines")
    if world.provider.running():
        return []
    taken = [f"{name} {_held(wanted[name])}" for name in names if not ports.is_free(wanted[name])]
    cure = t("end what listens there, or change ports in lab.yaml")
    return [
        Finding(
            not taken,
            mark("node ports"),
            t("taken: {taken}", taken=", ".join(taken)) if taken else t("free"),
            cure if taken else "",
        )
    ]


def _tools(world: World) -> list[Finding]:
    """Not needed, so never a failure; the course types them."""
    found = {name: tools.find(world.settings.state, name) for name in ("kubectl", "aws", "docker")}
    why = {"docker": t("./inv build, LocalStack and kind need it")}
    return [
        Finding(
            True,
            name,
            path or t("not on PATH: {why}; the lab does not need it", why=why.get(name, t("the course types it"))),
        )
        for name, path in found.items()
        if name not in world.provider.capabilities.tools and not (name == "docker" and _uses_docker(world))
    ]


def _uses_docker(world: World) -> bool:
    """Then the provider's own findings tell of it."""
    return world.provider.capabilities.runs_images_as == "containers"


def require_good(findings: list[Finding]) -> None:
    bad = [finding for finding in findings if not finding.good]
    if bad:
        raise LabError(t("{bad} of {findings} findings need attention", bad=len(bad), findings=len(findings)))
