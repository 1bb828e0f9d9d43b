"""The Job that makes the databases, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pg8000.exceptions import DatabaseError

from tests.images.stack import connect, databases, free_port, postgres

pytestmark = pytest.mark.timeout(300)
ONE, TWO = "mlflow_user01", "mlflow_user02"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("databases")
    number = free_port()
    with postgres(folder, number):
        done = databases(number, {ONE: "first", TWO: "second"})
        assert done.returncode == 0, done.stderr
        yield number


def test_a_tenant_owns_a_migrated_database(port: int) -> None:
    with connect(port, user=ONE, password="first", database=ONE) as client:
        client.run("INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('mine', 'active', 'default')")
        client.run("ALTER TABLE experiments ADD COLUMN anything int")
        assert len(client.run("SELECT version_num FROM alembic_version")) == 1


@pytest.mark.parametrize("database", [TWO, "postgres", "template1", "mlflow_template"])
def test_a_tenant_may_connect_to_no_other(port: int, database: str) -> None:
    refused = pytest.raises(DatabaseError, match=r"permission denied|not currently accepting connections")
    with refused, connect(port, user=ONE, password="first", database=database):
        pass


def test_the_job_again_keeps_data_adds_databases_takes_new_passwords_and_finishes_what_was_left(port: int) -> None:
    with connect(port, user=TWO, password="second", database=TWO) as client:
        client.run("INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('kept', 'active', 'default')")
    with connect(port) as admin:  # as if the last Job had died half-way
        admin.run(f"COMMENT ON DATABASE {TWO} IS NULL")
        admin.run("COMMENT ON DATABASE mlflow_template IS NULL")
        admin.run(f"GRANT CONNECT ON DATABASE {TWO} TO PUBLIC")
    done = databases(port, {ONE: "another", TWO: "second", "mlflow_user03": "third"})
    assert done.returncode == 0, done.stderr
    with connect(port, user=TWO, password="second", database=TWO) as client:
        assert client.run("SELECT name FROM experiments WHERE name = 'kept'") == [["kept"]]
    with connect(port, user=ONE, password="another", database=ONE):
        pass
    with connect(port, user="mlflow_user03", password="third", database="mlflow_user03"):
        pass
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        connect(port, user=ONE, password="another", database=TWO),
    ):
        pass


@pytest.mark.parametrize(
    ("names", "words"), [({"Robert'); DROP": "x"}, "cannot be a database's name"), ({ONE: ""}, "has an empty password")]
)
def test_a_wrong_secret_is_named_and_nothing_is_done(port: int, names: dict[str, str], words: str) -> None:
    done = databases(port, names)
    assert done.returncode == 1
    assert words in done.stderr


def test_a_database_that_is_to_go_goes_with_its_user(port: int) -> None:
    assert databases(port, {"mlflow_user04": "fourth"}).returncode == 0
    done = databases(port, {ONE: "first"}, gone="mlflow_user04 mlflow_user05")
    assert done.returncode == 0, done.stderr
    with connect(port) as admin:
        assert admin.run("SELECT datname FROM pg_database WHERE datname LIKE 'mlflow_user04'") == []
        assert admin.run("SELECT rolname FROM pg_roles WHERE rolname = 'mlflow_user04'") == []
    assert "cannot be a database's name" in databases(port, {}, gone="postgres").stderr


def test_a_first_filling_that_was_cut_short_begins_anew_and_one_that_ended_is_kept(tmp_path: Path) -> None:
    number, env = free_port(), {"POSTGRES_FILLING": "true"}
    mark = tmp_path / "pgdata" / "filling.conf"
    with postgres(tmp_path, number, env=env) as server, connect(number) as admin:
        assert admin.run("SHOW fsync") == [["off"]]
        admin.run("CREATE DATABASE cut_short")
        server.kill()
        server.wait()
    with postgres(tmp_path, number, env=env):
        with connect(number) as admin:
            assert admin.run("SELECT datname FROM pg_database WHERE datname = 'cut_short'") == []
        done = databases(number, {ONE: "first"})
        assert done.returncode == 0, done.stderr
        assert not mark.exists()
        with connect(number) as admin:
            assert admin.run("SHOW fsync") == [["on"]]
        with connect(number, user=ONE, password="first", database=ONE) as client:
            client.run(
                "INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('kept', 'active', 'default')"
            )
    with (
        postgres(tmp_path, number, env=env),
        connect(number, user=ONE, password="first", database=ONE) as client,
    ):
        assert client.run("SHOW fsync") == [["on"]]
        assert client.run("SELECT name FROM experiments WHERE name = 'kept'") == [["kept"]]
    assert "made anew" in (tmp_path / "postgres.log").read_text()
