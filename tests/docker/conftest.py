"""Docker for the tests that are marked so, and a lab with a registry that they push to."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.world import World
from tests.docker import daemon
from tests.docker.daemon import Engine
from tests.lab.push.accounts import with_accounts


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if reason := daemon.reason_to_skip():
        pytest.skip(reason)
    with daemon.running(tmp_path_factory.mktemp("docker")) as made:
        yield made


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with with_accounts(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(scope="session")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small image of one file, made without a base and without a network."""
    path = tmp_path_factory.mktemp("image") / "rootfs.tar"
    _write(path)
    return engine.docker("import", "--change", 'CMD ["/hello"]', str(path), "mlops-lab/test:1").strip()


def _write(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("hello")
        entry.size, entry.mode = 6, 0o755
        archive.addfile(entry, io.BytesIO(b"hello\n"))
