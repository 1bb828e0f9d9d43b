"""From a container's spec to a `Launch`: image, environment, command, mounts, user. What is wrong becomes Kubernetes's waiting reason."""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH112, PTH120
from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubesim.errors import NotFound
from kubesim.node import daemons, environment, network, volumes
from kubesim.node.environment import ConfigError
from kubesim.node.host import Host
from kubesim.node.images import Image, InvalidImageName
from kubesim.node.launch import Launch, Mount
from kubesim.node.rewrite import Rewriter
from kubesim.node.status import Container
from kubesim.resources import Object

GUEST = Path(__file__).parent / "guest"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_DNS = "/run/kubesim/dns"
_FALLBACK_USER = 10001


class Waiting(Exception):
    """The container cannot start now: a waiting reason and its message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class Place:
    """Where a pod lives: its address, host name, and its volumes by name."""

    address: str
    hostname: str
    folder: Path
    logs: Path
    volumes: Mapping[str, Path]
    host_network: bool = False


def find_image(host: Host, spec: Object) -> Image:
    """The container's image. Raises Waiting with what the kubelet says where it was never built."""
    name = spec["image"]
    try:
        image = host.images.resolve(name)
    except InvalidImageName as error:
        message = (
            f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": invalid reference format'
        )
        raise Waiting("InvalidImageName", message) from error
    if image is not None:
        return image
    if spec.get("imagePullPolicy") == "Never":
        raise Waiting("ErrImageNeverPull", f'Container image "{name}" is not present with pull policy of Never')
    hint = "kubesim pulls nothing: build it with `python -m kubesim image build`"
    raise Waiting(
        "ErrImagePull",
        f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": not found ({hint})',
    )


async def lookups(host: Host, pod: Object, container: Object) -> environment.Lookup:
    """The ConfigMaps and Secrets that a container's environment names, fetched now."""
    found: dict[tuple[str, str], Object | None] = {}
    for kind, name in _references(container):
        try:
            found[kind, name] = await host.client.get(f"v1/{kind}", name, pod["metadata"]["namespace"])
        except NotFound:
            found[kind, name] = None
    return lambda kind, name: found.get((kind, name))


def _references(container: Object) -> set[tuple[str, str]]:
    found = set()
    for source in container.get("envFrom") or []:
        found |= {
            (kind, source[field]["name"])
            for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets"))
            if field in source
        }
    for item in container.get("env") or []:
        source = item.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if field in source:
                found.add((kind, source[field]["name"]))
    return found


async def prepare(host: Host, pod: Object, container: Container, image: Image, place: Place) -> Launch:
    """Everything the shim needs, with the container's folder made. Raises Waiting, volumes.VolumeError."""
    spec, id = container.spec, secrets.token_hex(32)
    folder = host.folder / "containers" / id
    user, group, groups = _user(pod, spec, image, private=host.private)
    try:
        env = await _environment(host, pod, spec, image, place)
    except ConfigError as error:
        raise Waiting("CreateContainerConfigError", str(error)) from error
    own = dict(env)
    argv = environment.expand_all(spec.get("command") or [], own) or list(image.entrypoint)
    argv += (
        environment.expand_all(spec.get("args") or [], own) if spec.get("args") or spec.get("command") else image.cmd
    )
    if not argv:
        raise Waiting("CreateContainerError", "failed to generate container spec: no command specified")
    env |= {"KUBESIM_CONTAINER": id}
    mounts = _folder_mounts(folder, image) + _volume_mounts(spec, place, env)
    termination = folder / "termination-log"
    termination.touch()
    termination.chmod(0o666)
    mounts.append(Mount(str(termination), spec.get("terminationMessagePath") or "/dev/termination-log"))
    cwd = spec.get("workingDir") or image.workdir
    hostname = place.hostname if not place.host_network else ""
    labels = _labels(pod, container)
    log = place.logs / container.name / f"{container.restarts}.log"
    if host.private:
        mounts += _system_mounts(host, folder, pod, place, user)
        env |= {"KUBESIM_HOSTS": f"{_DNS}/hosts"} if "KUBESIM_POD_IP" in env else {}
    else:
        argv, env, cwd = _rewritten(host, mounts, argv=argv, env=env, cwd=cwd, place=place)
    return Launch(
        id=id,
        argv=argv,
        env=env,
        cwd=cwd,
        folder=str(folder),
        log=str(log),
        private_root=host.private,
        private_pids=host.private_pids and not pod["spec"].get("hostPID"),
        mounts=mounts,
        hidden=_hidden(host.options.state),
        reachable=sorted({sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), str(GUEST)})
        if user
        else [],
        hostname=hostname,
        user=user,
        group=group,
        groups=groups,
        stdin=bool(spec.get("stdin")),
        stdin_once=bool(spec.get("stdinOnce")),
        tty=bool(spec.get("tty")),
        labels=labels,
        stop_signal=stop_signal(spec, image),
    )


def stop_signal(spec: Object, image: Image | None) -> int:
    """What asks a container to end: its lifecycle's stopSignal, else the image's, else SIGTERM."""
    name = (spec.get("lifecycle") or {}).get("stopSignal") or (image.stop_signal if image else "SIGTERM")
    if name.isdigit():
        return int(name)
    return int(getattr(signal, name if name.startswith("SIG") else f"SIG{name}", signal.SIGTERM))


def _labels(pod: Object, container: Container) -> dict[str, str]:
    metadata = pod["metadata"]
    return {
        "uid": metadata["uid"],
        "namespace": metadata["namespace"],
        "pod": metadata["name"],
        "container": container.name,
        "attempt": str(container.restarts),
    }


async def _environment(host: Host, pod: Object, spec: Object, image: Image, place: Place) -> dict[str, str]:
    namespace = pod["metadata"]["namespace"]
    base = daemons.base_environment() | {"HOME": "/tmp"} | image.env | {"HOSTNAME": place.hostname}
    ours = daemons.base_environment()["PATH"].split(os.pathsep)[0]
    if "PATH" in image.env:
        base["PATH"] = f"{ours}{os.pathsep}{image.env['PATH']}"
    services = environment.service_variables(
        host.services, namespace, links=pod["spec"].get("enableServiceLinks", True)
    )
    lookup = await lookups(host, pod, spec)
    seen = pod | {
        "status": (pod.get("status") or {})
        | {
            "podIP": place.address,
            "podIPs": [{"ip": place.address}],
            "hostIP": network.NODE_ADDRESS,
            "hostIPs": [{"ip": network.NODE_ADDRESS}],
        }
    }
    env = environment.build(seen, spec, lookup=lookup, services=services, node=host.node, base=base)
    python_path = [str(GUEST), *filter(None, [env.get("PYTHONPATH")])]
    env |= {"PYTHONPATH": os.pathsep.join(python_path)}
    if not place.host_network:
        env |= {
            "KUBESIM_POD_IP": place.address,
            "KUBESIM_LOOPBACK": network.loopback_of(place.address),
            "KUBESIM_HOSTS": str(host.folder / "dns" / "hosts"),
            "KUBESIM_SEARCH": " ".join(network.search_domains(namespace)),
        }
        if host.offset:
            env["KUBESIM_LOW_PORTS"] = str(host.offset)
    return env


def _user(pod: Object, spec: Object, image: Image, *, private: bool) -> tuple[int | None, int | None, list[int]]:
    """User, group and more groups. Only root can be someone else, and only in a private root, where no parent folder stands in the way: an
    ordinary user's containers all run as that user, and root's run as root where nothing can be mounted."""
    context = {**(pod["spec"].get("securityContext") or {}), **(spec.get("securityContext") or {})}
    name, _, group_name = image.user.partition(":")
    wanted = context.get("runAsUser")
    user = int(wanted) if wanted is not None else _number(name)
    if context.get("runAsNonRoot") and user == 0 and os.getuid() == 0:
        raise Waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
    if os.getuid() != 0 or not private:
        return None, None, []
    group = context.get("runAsGroup")
    groups = [
        *(context.get("supplementalGroups") or []),
        *([context["fsGroup"]] if context.get("fsGroup") is not None else []),
    ]
    number = int(group) if group is not None else int(group_name) if group_name.isdigit() else _group_of(user)
    return user, number, [int(one) for one in groups]


def _number(name: str) -> int:
    if name in ("", "root", "0"):
        return 0
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return _FALLBACK_USER  # made by a RUN useradd that kubesim does not carry out


def _group_of(user: int) -> int:
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def _folder_mounts(folder: Path, image: Image) -> list[Mount]:
    """The container's own copies of the image's files, and its /tmp."""
    folder.mkdir(parents=True)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    copies = folder / "rootfs"
    shutil.copytree(image.root, copies, symlinks=True)
    tops = [(copies / top.relative_to(image.root), "/" + top.relative_to(image.root).as_posix()) for top in image.tops]
    return [Mount(str(folder / "tmp"), "/tmp"), *(Mount(str(source), target) for source, target in tops)]


def _volume_mounts(spec: Object, place: Place, env: Mapping[str, str]) -> list[Mount]:
    return [
        Mount(str(source), target, read_only)
        for source, target, read_only in volumes.mounts_of(spec, place.volumes, env)
    ]


def _system_mounts(host: Host, folder: Path, pod: Object, place: Place, user: int | None) -> list[Mount]:
    found = [Mount(str(host.folder / "dns"), _DNS, read_only=True)]
    if not place.host_network:
        found.append(Mount(str(place.folder / "hosts"), "/etc/hosts"))
    resolv = place.folder / "resolv.conf"
    resolv.write_text(
        f"search {' '.join(network.search_domains(pod['metadata']['namespace']))}\nnameserver 127.11.0.10\noptions ndots:5\n"
    )
    if not place.host_network and Path("/etc/resolv.conf").exists() and not Path("/etc/resolv.conf").is_symlink():
        found.append(Mount(str(resolv), "/etc/resolv.conf", read_only=True))
    if user and not _known(user):
        passwd = folder / "passwd"
        passwd.write_text(Path("/etc/passwd").read_text() + f"app:x:{user}:{user}::/tmp:/bin/sh\n")
        found.append(Mount(str(passwd), "/etc/passwd", read_only=True))
    return found


def _known(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _hidden(state: Path) -> list[str]:
    """The state folder, unless the interpreter itself lives in it."""
    needed = (sys.prefix, sys.base_prefix, str(GUEST))
    return [] if any(Path(path).is_relative_to(state) for path in needed) else [str(state)]


def _rewritten(
    host: Host, mounts: list[Mount], *, argv: list[str], env: dict[str, str], cwd: str, place: Place
) -> tuple[list[str], dict[str, str], str]:
    """Paths of the host in place of the container's, where nothing can be mounted."""
    rewriter = Rewriter({mount.target: mount.source for mount in mounts if mount.target != "/tmp"})
    kept = {name: env.pop(name) for name in ("PATH", "PYTHONPATH", "KUBESIM_HOSTS") if name in env}
    token = next((mount.source for mount in mounts if mount.target == TOKEN_PATH), "")
    if token:
        env.setdefault("KUBECONFIG", _kubeconfig(place.folder, token, env))
    env = rewriter.values(env) | kept
    if "PYTHONPATH" in kept:
        guest, *rest = kept["PYTHONPATH"].split(os.pathsep)
        env["PYTHONPATH"] = os.pathsep.join([guest, *rewriter.words(rest)])
    folder = rewriter.text(cwd)
    if folder == cwd and not os.path.isdir(cwd):
        folder = "/"
    return rewriter.words(argv), env, folder


def _kubeconfig(folder: Path, token: str, env: Mapping[str, str]) -> str:
    """What a client finds in a pod's service account folder, for clients that cannot look there."""
    path = folder / "kubeconfig"
    server = f"https://{env.get('KUBERNETES_SERVICE_HOST', '127.11.0.1')}:{env.get('KUBERNETES_SERVICE_PORT', '443')}"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: pod\n"
        f'clusters: [{{name: pod, cluster: {{server: "{server}", certificate-authority: "{token}/ca.crt"}}}}]\n'
        f'users: [{{name: pod, user: {{tokenFile: "{token}/token"}}}}]\n'
        "contexts: [{name: pod, context: {cluster: pod, user: pod}}]\n"
    )
    path.chmod(0o600)
    return str(path)
