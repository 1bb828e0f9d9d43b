"""One lab for all end-to-end tests: a state folder and ports of its own, driven by `./inv` as a person would.

With --kubeconfig it comes up on that cluster, by `--cluster current`, instead of on a simulator of its own. Tests of the simulator itself, or of a
second lab, are left out then, and say so.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import settings
from lab.clusters.current import Current
from tests.conftest import given

ROOT = Path(__file__).resolve().parents[2]
needs_simulator = pytest.mark.skipif(
    "config.getoption('kubeconfig')", reason="is about the simulator; --kubeconfig names another cluster"
)


@dataclass(frozen=True)
class Lab:
    """A lab of the test's own: its state folder and ports, and `./inv` in its environment."""

    environ: Mapping[str, str]
    state: Path

    def inv(
        self, *arguments: str, code: int = 0, seconds: float = 280, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(ROOT / "inv"), *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == code, (
            f"./inv {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def json(self, *arguments: str) -> dict[str, object]:
        found = json.loads(self.inv(*arguments).stdout)
        assert isinstance(found, dict)
        return found

    def begin(self) -> None:
        """Nothing is left of what it was, and on a cluster that is given somebody agreed to it."""
        self.inv("down", "--purge")
        if given():
            Current(settings.load(environ=self.environ), source=(Path(given()),)).agree()

    def student(self, number: str) -> dict[str, str]:
        """The environment of a student's shell."""
        lines = self.inv("env", "--user", number).stdout.splitlines()
        pairs = (line.removeprefix("export ").split("=", 1) for line in lines)
        return {**self.environ, **{key: shlex.split(value)[0] for key, value in pairs}}


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes that run the tests this is: each has ports of its own."""


def free_port(low: int, high: int) -> int:
    for port in range(low, high):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@contextmanager
def fresh_lab(folder: Path, *, offset: int = 0) -> Iterator[Lab]:
    """A lab that is not up, with a HOME of its own; `offset` keeps the ports of two labs of one run apart."""
    if offset and given():
        pytest.skip("a second lab wants a cluster of its own; --kubeconfig names one")
    home = folder / "home"
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LAB_", "AWS_", "KUBE"))}
    low = {"API": 17443, "AWS": 14566, "MLFLOW": 31500, "SERVING": 31080, "DASHBOARD": 31280, "PIPELINES": 31800}
    start = offset + 100 * WORKER
    ports = {name: free_port(port + start, port + start + 20) for name, port in low.items()}
    environ = kept | {f"LAB_PORTS_{name}": str(port) for name, port in ports.items()}
    environ |= {"LAB_STATE": str(folder / "lab"), "LAB_CLUSTER": "sim", "LAB_AWS": "standin", "HOME": str(home)}
    if given():
        environ |= {"LAB_CLUSTER": "current", "KUBECONFIG": given()}
    made = Lab(environ, folder / "lab")
    if given():
        made.begin()
    yield made
    made.inv("down", "--purge")
    left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    ours = [name for name in left if name.startswith((".kube", ".aws")) and not name.startswith(".kube/cache/")]
    assert ours == [], "the lab wrote to ~/.kube or ~/.aws (kubectl's own discovery cache apart)"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fresh_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made
