"""A real API server to be somebody's cluster, programs that record, and settings of the test's own."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import settings
from lab.settings import Settings
from tests.e2e.conftest import free_port
from tests.lab.clusters.programs import Programs


@dataclass(frozen=True)
class Server:
    """A cluster of somebody's: its kubeconfig and the port of its API."""

    kubeconfig: Path
    port: int


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    # unix sockets under the state folder must have short names, which pytest's folders are not
    with tempfile.TemporaryDirectory(prefix="kubesim-") as folder:
        command = [sys.executable, "-m", "kubesim", "serve", "--state", folder, "--port", "0", "--name", "theirs"]
        with (Path(folder) / "serve.log").open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready at" in line, (Path(folder) / "serve.log").read_text()
        yield Server(Path(folder) / "admin.kubeconfig", int(line.split(":")[2].split()[0]))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture
def loaded(tmp_path: Path) -> Settings:
    """Two tenants, a folder and ports of the test's own."""
    low = {"API": 21090, "MLFLOW": 32100, "SERVING": 32200, "DASHBOARD": 32300, "PIPELINES": 32400}
    ports = {f"LAB_PORTS_{name}": str(free_port(port, port + 90)) for name, port in low.items()}
    made = settings.load(environ={"LAB_STATE": str(tmp_path / "lab")} | ports)
    made.state.mkdir()
    groups = [group.model_copy(update={"users": group.users[:1]}) for group in made.tenants]
    return made.model_copy(update={"tenants": tuple(groups)})


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """An empty PATH but for what the test installs."""
    made = Programs(tmp_path / "programs")
    made.install()
    monkeypatch.setenv("PATH", str(made.bin))
    return made
