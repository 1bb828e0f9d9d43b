"""The Job that gives every tenant an MLflow database of its own: `python -m tracking.databases`.

MLflow's schema is sixty-nine migrations, too many to run per tenant. A template has what they come to, and a tenant's database is a copy of it.
What they come to for the MLflow this image is made for lies in schema.sql (a test compares the two); with any other MLflow they run.

* Idempotent, and safe to interrupt anywhere: a database is done when its comment says which MLflow made it, and the
  comment is the last thing written. Whatever has no comment is finished (a tenant's) or made anew (the template).
* A server in its first filling (images/postgres/entrypoint.py) has nothing to lose: its databases are copied file by file, and
  flushed to the disk all at once before any of them counts as done.
* Two Jobs at once take turns (an advisory lock).
* A tenant owns its database and everything in it, and may connect to no other. The template's tables belong to
  PostgreSQL's role pg_database_owner, which in a copy means its owner: nothing has to be given away per copy.
* A newer MLflow migrates the databases that are there, each as its owner.

Environment: PGHOST, PGPORT, POSTGRES_USER, POSTGRES_PASSWORD of the superuser, and one variable per database,
`DATABASE_<name>` = its password (the Secret `mlflow-databases` with that prefix). The user is named like the database.
DATABASES_GONE names databases to remove, with their users.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier, literal

from . import plain

SCHEMA = Path(__file__).with_name("schema.sql")  # written by `python -m tests.images.schema`
TEMPLATE = "mlflow_template"
PREFIX = "DATABASE_"
LOCK = 0x6D6C666C  # "mlfl": the number of the advisory lock is free to choose
FILLING = "filling.conf"  # in the server's folder until its first filling ends; says fsync = off
CONNECTIONS_PER_TENANT = 20
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Refused(Exception):
    """The databases cannot be made; the message says what to change."""


@dataclass(frozen=True)
class Server:
    """How to reach PostgreSQL, and as whom."""

    host: str
    port: int
    user: str
    password: str
    tls: bool

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Server:
        """Raise Refused where something needed is missing."""
        if not env.get("POSTGRES_PASSWORD"):
            raise Refused("POSTGRES_PASSWORD is not set: give it from the Secret 'postgres'")
        return cls(
            host=env.get("PGHOST", "postgres.mlflow-system.svc.cluster.local"),
            port=int(env.get("PGPORT", "5432")),
            user=env.get("POSTGRES_USER", "postgres"),
            password=env["POSTGRES_PASSWORD"],
            tls=not plain.wanted(env),
        )

    def uri(self, database: str) -> str:
        """A SQLAlchemy URI; passwords are URL-safe by contract with the lab, which makes them."""
        return f"postgresql+pg8000://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    @contextmanager
    def connect(self, database: str) -> Iterator[Connection]:
        """A connection that never writes its statements, passwords in them, to the server's log."""
        context = None if self.tls else False
        connection = Connection(
            self.user, self.host, database, self.port, self.password, timeout=60, ssl_context=context
        )
        try:
            connection.run("SET log_min_error_statement = panic")
            yield connection
        finally:
            connection.close()


def wanted(env: Mapping[str, str]) -> dict[str, str]:
    """Database -> password. Raise Refused for a name that is not a plain lower-case identifier."""
    found = {key.removeprefix(PREFIX): value for key, value in sorted(env.items()) if key.startswith(PREFIX)}
    for name, password in found.items():
        _require_name(name)
        if not password:
            raise Refused(f"database {name!r} has an empty password in the Secret 'mlflow-databases'")
    return found


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name) or name in (TEMPLATE, "postgres"):
        raise Refused(f"{name!r} cannot be a database's name: use lower-case letters, digits and underscores")


def wait(server: Server, *, seconds: float = 60, clock: Callable[[], float] = time.monotonic) -> None:
    """Return once PostgreSQL answers. A wrong password is not waited for."""
    deadline = clock() + seconds
    while True:
        try:
            with server.connect("postgres"):
                return
        except DatabaseError as error:
            if error.args and error.args[0].get("C") in ("28P01", "28000"):
                raise Refused(
                    f"PostgreSQL refuses user {server.user!r}: the password in Secret 'postgres' is another"
                ) from error
            last: Exception = error
        except (InterfaceError, OSError) as error:
            last = error
        if clock() > deadline:
            raise Refused(f"PostgreSQL at {server.host}:{server.port} does not answer: {last}")
        time.sleep(0.2)


def comments(admin: Connection) -> dict[str, str]:
    """Database -> the MLflow version that completed it, or an empty string."""
    query = "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
    return dict(admin.run(query))


def mark(admin: Connection, database: str) -> None:
    """Say that a database is complete; always the last step."""
    admin.run(f"COMMENT ON DATABASE {identifier(database)} IS {literal(version())}")


def version() -> str:
    """What a complete database's comment says."""
    return f"mlflow {metadata.version('mlflow')}"


def recorded() -> str | None:
    """The schema on file, where it is this MLflow's: its first line says whose it is."""
    text = SCHEMA.read_text()
    return text if text.startswith(f"-- {version()}\n") else None


def fill(server: Server, database: str) -> None:
    """Give an empty database MLflow's tables."""
    schema = recorded()
    if schema is None:
        migrate(server.uri(database))
        return
    with server.connect(database) as inside:
        inside.run(f"BEGIN; {schema}; COMMIT")


def migrate(uri: str) -> None:
    """What `mlflow db upgrade` does, on an empty database too. MLflow is imported here only: that takes seconds."""
    from mlflow.store.db.utils import _initialize_tables, _is_empty_database, _upgrade_db, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        _initialize_tables(engine) if _is_empty_database(engine) else _upgrade_db(engine)
    finally:
        engine.dispose()


def is_filling(admin: Connection) -> bool:
    """Whether this server was never filled."""
    return bool(admin.run("SELECT (pg_stat_file(:file, true)).size IS NOT NULL", file=FILLING)[0][0])


def end_filling(admin: Connection) -> None:
    """Everything to the disk; from here on every commit goes there by itself. The order of PostgreSQL's manual for fsync."""
    admin.run("CHECKPOINT")
    admin.run(f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; sync -f . && rm -f {FILLING} && sync -f .'")
    admin.run("SELECT pg_reload_conf()")
    while admin.run("SHOW fsync") != [["on"]]:
        time.sleep(0.01)  # the postmaster passes the signal on


def make_template(admin: Connection, server: Server) -> None:
    """A migrated database that nobody can connect to; the caller marks it."""
    if comments(admin).get(TEMPLATE) == version():
        return
    drop_template(admin)
    admin.run(f"CREATE DATABASE {TEMPLATE}")
    fill(server, TEMPLATE)
    with server.connect(TEMPLATE) as inside:
        inside.run(_OWNED_BY_THE_DATABASES_OWNER)
    admin.run(f"ALTER DATABASE {TEMPLATE} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true")


def drop_template(admin: Connection) -> None:
    """Remove an unfinished or outdated template."""
    if TEMPLATE in comments(admin):
        admin.run(f"ALTER DATABASE {TEMPLATE} WITH IS_TEMPLATE false")
        admin.run(f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


# Sequences of serial columns follow their table and refuse to be given away alone.
_OWNED_BY_THE_DATABASES_OWNER = """
DO $$ DECLARE item record; BEGIN
  FOR item IN SELECT oid::regclass AS name FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i')) LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO pg_database_owner', item.name);
  END LOOP; END $$"""


def make_database(
    admin: Connection, server: Server, *, name: str, password: str, state: str | None, strategy: str
) -> None:
    """A tenant's user and database; `state` is the comment of what is there, None where nothing is. The caller marks it."""
    set_password(admin, name, password)
    if state == version():
        return
    if state is None:
        admin.run(
            f"CREATE DATABASE {identifier(name)} TEMPLATE {TEMPLATE} OWNER {identifier(name)} STRATEGY {strategy}"
        )
    elif state:
        migrate(replace(server, user=name, password=password).uri(name))
    admin.run(f"REVOKE ALL ON DATABASE {identifier(name)} FROM PUBLIC")


def set_password(admin: Connection, name: str, password: str) -> None:
    """The user, with the password of today's Secret."""
    exists = admin.run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=name)
    verb = "ALTER" if exists else "CREATE"
    limit = CONNECTIONS_PER_TENANT
    admin.run(f"{verb} ROLE {identifier(name)} LOGIN CONNECTION LIMIT {limit} PASSWORD {literal(password)}")


def gone(env: Mapping[str, str]) -> list[str]:
    """Databases to remove. Raise Refused for a name that is not a tenant's."""
    names = env.get("DATABASES_GONE", "").split()
    for name in names:
        _require_name(name)
    return names


def remove_database(admin: Connection, name: str) -> None:
    """A database with everything in it, and its user; nothing where there is none."""
    admin.run(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
    admin.run(f"DROP ROLE IF EXISTS {identifier(name)}")


def prepare(server: Server, databases: Mapping[str, str], unwanted: Sequence[str] = ()) -> None:
    """Bring PostgreSQL to the state the Secret asks for."""
    with server.connect("postgres") as admin:
        admin.run(f"SELECT pg_advisory_lock({LOCK})")
        admin.run("REVOKE ALL ON DATABASE postgres FROM PUBLIC")
        admin.run("REVOKE ALL ON DATABASE template1 FROM PUBLIC")
        filling = is_filling(admin)
        strategy = "FILE_COPY" if filling else "WAL_LOG"
        make_template(admin, server)
        there = comments(admin)
        for name, password in databases.items():
            make_database(admin, server, name=name, password=password, state=there.get(name), strategy=strategy)
        if filling:
            end_filling(admin)
        for name in (TEMPLATE, *databases):
            if there.get(name) != version():
                mark(admin, name)
        for name in unwanted:
            remove_database(admin, name)


def main(env: Mapping[str, str]) -> int:
    """The Job; its exit code."""
    started = time.monotonic()
    try:
        server, databases, unwanted = Server.read(env), wanted(env), gone(env)
        if not server.tls:
            plain.install()
        wait(server)
        prepare(server, databases, unwanted)
    except (Refused, DatabaseError) as error:
        print(f"databases: {error}", file=sys.stderr)
        return 1
    print(f"databases: {len(databases)} ready in {time.monotonic() - started:.1f} s: {' '.join(databases)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
