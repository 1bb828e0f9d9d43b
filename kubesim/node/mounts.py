"""A container's private root, where the kernel lets this user have mount namespaces.

The new root is a small tmpfs that shows the host's top-level folders read-only, with the image's files and the pod's volumes mounted at
their real paths. A mount point that the host does not have is made without touching the host: the nearest folder that exists becomes a
tmpfs of bind mounts of its own entries. Root unshares mounts directly; an ordinary user does it inside a user namespace that maps only that
user. Everything here runs in a forked child with one thread, between fork and exec, and raises OSError.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH102, PTH103, PTH112, PTH114, PTH115, PTH116, PTH208, PTH211
from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kubesim.node.launch import Mount

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x4000000, 0x10000000, 0x20000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_MNT_DETACH = 2
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine, -1)
_SYS_MOUNT_SETATTR = 442
_AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 0x8000, 1

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(
        _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()),
        f"mount {source} on {target}",
    )


def unshare(*, processes: bool = False) -> None:
    """Private mounts and host name for this process; as an ordinary user inside a user namespace that maps this user to itself. `processes`: what it
    forks from now on is in a PID namespace, the first child as process 1."""
    uid, gid = os.getuid(), os.getgid()
    kinds = CLONE_NEWNS | CLONE_NEWUTS | (CLONE_NEWUSER if uid else 0) | (CLONE_NEWPID if processes else 0)
    _check(_libc.unshare(kinds), "unshare")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def join(pid: int) -> None:
    """Enter the namespaces of a container's process (exec); its PID namespace is that of children only."""
    handles = []
    for kind in ("user", "uts", "pid", "mnt"):
        theirs = f"/proc/{pid}/ns/{kind}"
        if os.readlink(theirs) != os.readlink(f"/proc/self/ns/{kind}"):
            handles.append(os.open(theirs, os.O_RDONLY | os.O_CLOEXEC))
    for handle in handles:
        _check(_libc.setns(handle, 0), "setns")
        os.close(handle)


def set_hostname(name: str) -> None:
    _check(_libc.sethostname(name.encode(), len(name.encode())), "sethostname")


NEEDED = tuple(
    dict.fromkeys(
        (sys.base_prefix, sys.prefix, str(Path(sys.executable).resolve().parent), str(Path(__file__).parent / "guest"))
    )
)
"""What a Python program in a container cannot do without, wherever the lab was cloned to."""


class Root:
    """A root under construction at `at`, while the host's root is still `/`."""

    def __init__(self, at: str) -> None:
        self.at = at.rstrip("/")
        self.synthetic: set[str] = {"/"}
        self.volumes: set[str] = set()
        _mount("tmpfs", self.at, "tmpfs", 0, "mode=0755,size=8m")
        for entry in sorted(os.listdir("/")):
            self._show(f"/{entry}")

    def _show(self, path: str, *, read_only: bool = True) -> None:
        """The host's `path` at its own place; its parent must be synthetic."""
        target = self.at + path
        if os.path.islink(path):
            os.symlink(os.readlink(path), target)
            return
        try:
            self._point(target, folder=os.path.isdir(path))
            _mount(path, target, "", _MS_BIND | _MS_REC)
        except OSError:
            return  # entries that this user may not even look at are not shown
        if read_only and path not in ("/proc", "/sys", "/dev"):
            _read_only(target)

    @staticmethod
    def _point(target: str, *, folder: bool) -> None:
        if folder:
            os.makedirs(target, exist_ok=True)
        elif not os.path.lexists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))

    def bind(self, mount: Mount) -> None:
        """Show a host path, whatever is or is not at the target."""
        target = self._place(mount.target, folder=os.path.isdir(mount.source))
        _mount(mount.source, self.at + target, "", _MS_BIND | _MS_REC)
        self.volumes.add(target)
        if mount.read_only:
            _read_only(self.at + target)

    def keep(self, path: str) -> None:
        """Show the host's `path` again where a volume hides it: a clone below /tmp, while every container has a /tmp of its own."""
        if not Path(path).exists():
            return
        shown = Path(self.at + path)
        # An empty folder of that name may be left in the volume from the container's last run.
        if not (shown.exists() and shown.samefile(path)):
            with contextlib.suppress(OSError):
                self.bind(Mount(path, path, read_only=True))

    def cover(self, path: str) -> None:
        """Hide a host folder behind an empty one."""
        if os.path.isdir(self.at + path):
            _mount("tmpfs", self.at + path, "tmpfs", _MS_RDONLY, "mode=0755,size=4k")

    def reach(self, path: str) -> None:
        """Make every parent of `path` enterable by any user: a parent that is not becomes a folder that shows only the way down."""
        parts = [part for part in path.split("/") if part]
        for depth in range(1, len(parts)):
            parent = "/" + "/".join(parts[:depth])
            if parent not in self.synthetic and not os.stat(parent).st_mode & 0o001:
                _mount("tmpfs", self.at + parent, "tmpfs", 0, "mode=0755,size=1m")
                self.synthetic.add(parent)
                self._show("/" + "/".join(parts[: depth + 1]))

    def devices(self) -> None:
        """A /dev with what every container has, and shared memory of its own."""
        self._synthesize("/dev", show=_DEVICES)
        for name, goal in _DEVICE_LINKS.items():
            os.symlink(goal, f"{self.at}/dev/{name}")
        os.mkdir(f"{self.at}/dev/shm")
        _mount("tmpfs", f"{self.at}/dev/shm", "tmpfs", 0, "mode=1777")

    def own_processes(self) -> None:
        """A /proc that shows the processes of this PID namespace and no others."""
        _mount("proc", f"{self.at}/proc", "proc", _MS_NOSUID_NODEV_NOEXEC)

    def _synthesize(self, folder: str, *, show: Sequence[str] | None = None) -> None:
        """Turn a folder of the host into a tmpfs that shows its entries, so that more can be put beside them."""
        _mount("tmpfs", self.at + folder, "tmpfs", 0, "mode=0755,size=8m")
        self.synthetic.add(folder)
        for entry in show if show is not None else _entries(folder):
            if os.path.lexists(f"{folder}/{entry}"):
                self._show(f"{folder}/{entry}", read_only=folder != "/dev")

    def _place(self, path: str, *, folder: bool) -> str:
        """Make the mount point; links on the way are followed inside the new root."""
        done, rest, links = "/", [part for part in path.split("/") if part], 0
        while rest:
            part = rest.pop(0)
            following = done.rstrip("/") + "/" + part
            real = self.at + following
            if os.path.islink(real):
                links += 1
                if links > 40:
                    raise OSError(40, f"too many symbolic links: {path}")
                goal = os.readlink(real)
                base = [] if goal.startswith("/") else [piece for piece in done.split("/") if piece]
                rest = list(_clean(base + goal.split("/"))) + rest
                done = "/"
                continue
            if not os.path.lexists(real):
                self._make(done, following, folder=folder or bool(rest))
            done = following
        return done

    def _make(self, parent: str, path: str, *, folder: bool) -> None:
        if parent not in self.synthetic and not self._in_volume(parent):
            self._synthesize(parent)
        self._point(self.at + path, folder=folder)
        if folder and not self._in_volume(path):
            self.synthetic.add(path)

    def _in_volume(self, path: str) -> bool:
        return any(path == volume or path.startswith(volume + "/") for volume in self.volumes)

    def enter(self) -> None:
        """Make it the root; the host's is gone for this process and its children."""
        os.chdir(self.at)
        _check(_libc.syscall(_SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
        _check(_libc.umount2(b".", _MNT_DETACH), "umount")
        os.chdir("/")


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _clean(parts: Sequence[str]) -> Iterator[str]:
    """Path pieces without `.` and `..`."""
    kept: list[str] = []
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return iter(kept)


def _read_only(target: str) -> None:
    """The mount and all mounts below it; kernels before 5.12 can do the top one only."""
    attr = _MountAttr(attr_set=_MOUNT_ATTR_RDONLY)
    if (
        _libc.syscall(_SYS_MOUNT_SETATTR, -100, target.encode(), _AT_RECURSIVE, ctypes.byref(attr), ctypes.sizeof(attr))
        != 0
    ):
        _libc.mount(b"none", target.encode(), b"", _MS_REMOUNT | _MS_BIND | _MS_RDONLY, b"")


def build(
    at: str,
    mounts: Sequence[Mount],
    *,
    hidden: Sequence[str] = (),
    reachable: Sequence[str] = (),
    processes: bool = False,
) -> None:
    """Make the root at `at` (an empty folder) and enter it. `unshare` comes first; `processes`: with a /proc of this PID namespace."""
    root = Root(at)
    for path in reachable:
        root.reach(path)
    root.devices()
    if processes:
        root.own_processes()
    for mount in sorted(mounts, key=lambda mount: mount.target.count("/")):
        root.bind(mount)
    for path in NEEDED:
        root.keep(path)
    for path in hidden:
        root.cover(path)
    root.enter()


@dataclass(frozen=True)
class Isolation:
    """What the kernel lets this user have: a private root, and a PID namespace in it."""

    mounts: bool
    processes: bool


@cache
def available() -> Isolation:
    """Tried once, in processes of their own."""
    return Isolation(_works(), _works("processes"))


def _works(*arguments: str) -> bool:
    command = [sys.executable, "-m", __name__, *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def _try(*, processes: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            unshare(processes=processes)
            if processes and (inner := os.fork()):
                os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
            build(folder, [Mount(source="/dev/null", target="/kubesim/probe")], processes=processes)
            os._exit(0 if not processes or os.readlink("/proc/self") == "1" else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    _try(processes="processes" in sys.argv)
