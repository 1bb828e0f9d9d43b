"""images/postgres/entrypoint.py, as the image runs it: a real server on a real folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from tests.images.stack import PASSWORD, ROOT, accepts, connect, free_port, postgres, postgres_environment, process

ENTRYPOINT = ROOT / "images/postgres/entrypoint.py"


def test_first_start_makes_a_database_that_wants_its_password(tmp_path: Path) -> None:
    port = free_port()
    with postgres(tmp_path, port, env={"POSTGRES_DB": "course"}):
        with connect(port, database="course") as client:
            assert client.run("SHOW password_encryption") == [["scram-sha-256"]]
            assert client.run("SHOW fsync") == [["on"]]
            assert client.run("SELECT datcollate FROM pg_database WHERE datname = 'course'") == [["C"]]
        with pytest.raises(DatabaseError, match="password authentication failed"), connect(port, password="another"):
            pass


def test_sigint_ends_at_once_although_a_client_is_connected(tmp_path: Path) -> None:
    port = free_port()
    with postgres(tmp_path, port) as server, connect(port) as client:
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
        with pytest.raises((InterfaceError, DatabaseError), match=r"network error|terminating connection"):
            client.run("SELECT 1")


def test_what_was_committed_survives_kill_9_and_a_pid_that_is_somebody_elses_now(tmp_path: Path) -> None:
    port = free_port()
    with postgres(tmp_path, port) as server, connect(port) as client:
        client.run("CREATE TABLE kept (n int)")
        client.run("INSERT INTO kept VALUES (42)")
        server.kill()
        server.wait()
    pid_file = tmp_path / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with postgres(tmp_path, port), connect(port) as client:
        assert client.run("SELECT n FROM kept") == [[42]]


def test_a_half_made_database_is_made_anew(tmp_path: Path) -> None:
    partial = tmp_path / "pgdata.partial"
    partial.mkdir()
    (partial / "PG_VERSION").write_text("18\n")
    port = free_port()
    with postgres(tmp_path, port):
        pass
    assert not partial.exists()


def test_the_password_is_not_in_the_servers_environment(tmp_path: Path) -> None:
    port = free_port()
    with postgres(tmp_path, port) as server:
        assert PASSWORD.encode() not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_without_a_password_it_says_which_secret_has_it(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    env["PGDATA"] = str(tmp_path / "pgdata")
    done = subprocess.run([sys.executable, ENTRYPOINT], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "postgres: POSTGRES_PASSWORD is not set: give it from the Secret 'postgres'\n"


WITHOUT_NAMESPACES = """
import importlib.util, sys, os
spec = importlib.util.spec_from_file_location("entrypoint", sys.argv[1])
entrypoint = importlib.util.module_from_spec(spec)
sys.modules["entrypoint"] = entrypoint
spec.loader.exec_module(entrypoint)
def forbidden(*_): raise PermissionError(1, "unshare")
entrypoint._rename_self = forbidden
sys.exit(entrypoint.main([], os.environ))
"""


def started_by(argv: list[str], tmp_path: Path) -> None:
    """PostgreSQL starts with this command and takes a connection."""
    port, log = free_port(), tmp_path / "postgres.log"
    settings = postgres_environment(tmp_path / "pgdata", port)
    with process(argv, settings, log, stop=signal.SIGINT) as server:
        accepts(port, server, log)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_without_user_namespaces_it_becomes_another_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    started_by([sys.executable, "-c", WITHOUT_NAMESPACES, str(ENTRYPOINT)], tmp_path)
    assert (tmp_path / "pgdata").stat().st_uid != 0


def can_unshare() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run(["unshare", "--user", "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="needs user namespaces")
def test_as_an_ordinary_user_without_a_name(tmp_path: Path) -> None:
    as_user = ["unshare", "--user", "--map-user=10001", "--map-group=10001"]
    started_by([*as_user, sys.executable, str(ENTRYPOINT)], tmp_path)
